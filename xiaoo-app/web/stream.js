// The daemon's stream of server-sent events. Read by hand and not by EventSource, which can't
// show a token.

/** Waits before the stream is asked for again, ms: doubled each time, up to the last. */
const AGAIN_FIRST = 500;
const AGAIN_MAX = 10_000;
/** The daemon says something every 15 s; silence for longer is a lost connection. */
const SILENCE_MAX = 40_000;

/** Follows `path` for ever. `token()` gives what to present; `on` hears `event(name, data)`, `state(word)` and `denied(status)`. */
export async function follow(path, token, on) {
  for (let again = AGAIN_FIRST; ; again = Math.min(again * 2, AGAIN_MAX)) {
    on.state("connecting");
    try {
      const answer = await once(path, token(), on, () => { again = AGAIN_FIRST; });
      if (answer === 401 || answer === 403) {
        on.denied(answer);
        return;
      }
      on.state(answer === 503 ? "full" : "lost");
    } catch {
      on.state("lost");
    }
    await new Promise((resolve) => setTimeout(resolve, again));
  }
}

async function once(path, token, on, alive) {
  const stop = new AbortController();
  let timer;
  const heard = () => { clearTimeout(timer); timer = setTimeout(() => stop.abort(), SILENCE_MAX); };
  heard();
  try {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const answer = await fetch(path, { headers, signal: stop.signal, cache: "no-store" });
    if (!answer.ok) return answer.status;
    on.state("live");
    alive();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return 0;
      heard();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) take(block, on);
    }
  } finally {
    clearTimeout(timer);
    stop.abort();
  }
}

function take(block, on) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length) on.event(name, JSON.parse(data.join("\n")));
}
