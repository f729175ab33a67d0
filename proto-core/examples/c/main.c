// A bot in C: it answers direct messages with their own words.
//
//   make
//   export FEISHU_DOMAIN=http://127.0.0.1:19000
//   export FEISHU_APP_ID=cli_a1b2c3d4e5f60718
//   FEISHU_APP_SECRET=simulated-app-secret target/bot
//
// One thread, one loop: do what the machine wants done, then wait for input
// until its next deadline.
//
// Here it speaks plain HTTP to a platform on loopback (`cargo run -p feishu-sim
// -- --port 19000`). For the real one, put a library with TLS in the place of
// net.c and websocket.c (libcurl does both) and call `feishu_new` without
// loopback.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "feishu.h"
#include "net.h"
#include "websocket.h"

enum {
  WORDS_BYTES_MAX = 16384,
  ID_BYTES_MAX = 128,
  // A control character escaped is six bytes, and escaped again seven.
  JSON_BYTES_MAX = 7 * WORDS_BYTES_MAX + 1024,
  ANSWER_BYTES_MAX = 65536,
};

static const char *domain, *app_id, *app_secret;
static volatile sig_atomic_t stopped;
static websocket ws = {.fd = -1};
static feishu_machine *machine;
static uint64_t epoch; // of the link that `ws` is, or was

static void drain(void);
static void feed(ws_event event);
static void feed_frame(void);
static void send_message(feishu_bytes message);
static void fetch_endpoint(uint64_t attempt);
static void dial(uint64_t attempt, feishu_bytes url);
static bool answer(const char *message_id, const char *words);
static void stop(int signal);

static feishu_bytes bytes_of(const char *text) {
  return (feishu_bytes){(const uint8_t *)text, strlen(text)};
}

int main(void) {
  domain = getenv("FEISHU_DOMAIN");
  app_id = getenv("FEISHU_APP_ID");
  app_secret = getenv("FEISHU_APP_SECRET");
  if (domain == NULL || app_id == NULL || app_secret == NULL) {
    fprintf(stderr, "set FEISHU_DOMAIN, FEISHU_APP_ID, FEISHU_APP_SECRET\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  // Blocked here, let through in `net_wait`.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);

  uint64_t seed;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return 1;
  machine = feishu_new(now_ms(), seed, true);
  uint64_t due;
  while (!stopped && (due = feishu_poll_timeout(machine)) != UINT64_MAX) {
    ws_event event = ws_receive(&ws, due);
    uint64_t from = epoch;
    // Timers before input: the outcome does not hang on a race.
    feishu_handle_timeout(machine, now_ms());
    drain();
    if (from == epoch)
      feed(event);
    drain();
  }
  if (!stopped)
    fprintf(stderr, "the platform refused for good\n");
  feishu_close(machine, now_ms());
  drain();
  feishu_free(machine);
  return stopped ? 0 : 1;
}

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

// Does what the machine wants done.
static void drain(void) {
  feishu_output output;
  while ((output = feishu_poll_output(machine, now_ms())).kind !=
         FEISHU_OUTPUT_KIND_NONE)
    switch (output.kind) {
    case FEISHU_OUTPUT_KIND_FETCH_ENDPOINT:
      fetch_endpoint(output.epoch);
      break;
    case FEISHU_OUTPUT_KIND_CONNECT:
      dial(output.epoch, output.bytes);
      break;
    case FEISHU_OUTPUT_KIND_SEND:
      send_message(output.bytes);
      break;
    case FEISHU_OUTPUT_KIND_DISCONNECT:
      ws_close(&ws);
      break;
    case FEISHU_OUTPUT_KIND_EVENT:
      printf("%.*s\n", (int)output.bytes.len, output.bytes.data);
      break;
    case FEISHU_OUTPUT_KIND_NONE:
      break;
    }
}

static void feed(ws_event event) {
  switch (event) {
  case WS_BINARY:
    feed_frame();
    break;
  case WS_TEXT:
  case WS_CONTROL:
    feishu_handle_other(machine, epoch, event == WS_TEXT);
    break;
  case WS_CLOSED:
    feishu_handle_closed(machine, now_ms(), epoch, ws.close_code);
    break;
  case WS_NOTHING:
    break;
  }
}

static void feed_frame(void) {
  feishu_bytes frame = {ws.buffer, ws.joined};
  feishu_delivery delivery =
      feishu_handle_message(machine, now_ms(), epoch, frame);
  if (delivery.id == 0)
    return;
  if (delivery.gzip) {
    send_message(feishu_refuse(machine, now_ms(), delivery.id));
    return;
  }
  // Groups need the bot's own open_id to judge mentions (GET
  // /open-apis/bot/v3/info); without it only direct chats count.
  static uint8_t words[WORDS_BYTES_MAX];
  feishu_message message =
      feishu_read_message(delivery.payload, bytes_of(app_id), bytes_of(""), words,
                          sizeof words - 1);
  words[message.text_len] = '\0';
  // The message's bytes are not ours any more after the next call.
  char id[ID_BYTES_MAX];
  snprintf(id, sizeof id, "%.*s", (int)message.message_id.len,
           message.message_id.data);
  // A daemon writes the event to its disk here: only what is safe may be
  // acknowledged.
  send_message(feishu_acknowledge(machine, now_ms(), delivery.id));
  // A busy bot answers on another thread.
  if (message.addressed)
    printf(answer(id, (const char *)words) ? "answered %s\n"
                                           : "not answered: %s\n", id);
}

static void send_message(feishu_bytes message) {
  if (message.len == 0 || ws_send(&ws, message.data, message.len))
    return;
  ws_close(&ws);
  feishu_handle_closed(machine, now_ms(), epoch, 0);
}

// JSON in the making; what does not fit is left out.
typedef struct {
  char *at, *end;
} writer;

static void put(writer *json, const char *text) {
  while (*text != '\0' && json->at < json->end)
    *json->at++ = *text++;
  *json->at = '\0';
}

// A piece of JSON and, escaped, a text that stands between quotes after it.
static void put_text(writer *json, const char *piece, const char *text) {
  put(json, piece);
  for (; *text != '\0'; text++) {
    char escaped[8] = {*text};
    if (*text == '"' || *text == '\\')
      snprintf(escaped, sizeof escaped, "\\%c", *text);
    else if ((unsigned char)*text < ' ')
      snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)*text);
    put(json, escaped);
  }
}

static writer write_to(char *json, size_t size) {
  return (writer){json, json + size - 1};
}

static void fetch_endpoint(uint64_t attempt) {
  static char json[JSON_BYTES_MAX], reply[ANSWER_BYTES_MAX];
  writer body = write_to(json, sizeof json);
  put_text(&body, "{\"AppID\":\"", app_id);
  put_text(&body, "\",\"AppSecret\":\"", app_secret);
  put(&body, "\"}");
  unsigned status = 0;
  long len = http_post(domain, "/callback/ws/endpoint", NULL, json, reply,
                       sizeof reply, &status);
  feishu_handle_endpoint(machine, now_ms(), attempt,
                         len < 0 ? 0 : (uint16_t)status, bytes_of(reply));
}

static void dial(uint64_t attempt, feishu_bytes url) {
  char address[2048];
  snprintf(address, sizeof address, "%.*s", (int)url.len, url.data);
  ws_refusal refusal;
  epoch = attempt;
  if (ws_open(&ws, address, &refusal))
    feishu_handle_open(machine, now_ms(), epoch);
  else if (refusal.http_status != 0)
    feishu_handle_refused(machine, now_ms(), epoch,
                          (uint16_t)refusal.http_status, refusal.status,
                          refusal.auth_error);
  else
    feishu_handle_closed(machine, now_ms(), epoch, 0);
}

// One OpenAPI call; the answer stays in `reply`.
static bool call(const char *path, const char *token, const char *json,
                 char reply[ANSWER_BYTES_MAX]) {
  unsigned status;
  if (http_post(domain, path, token, json, reply, ANSWER_BYTES_MAX, &status) < 0)
    return false;
  feishu_bytes code = feishu_json_member(bytes_of(reply), bytes_of("code"));
  return code.len == 1 && code.data[0] == '0';
}

// Replies to the person's own message.
static bool answer(const char *message_id, const char *words) {
  static char json[JSON_BYTES_MAX], content[JSON_BYTES_MAX];
  static char reply[ANSWER_BYTES_MAX];
  // A daemon keeps the token for the two hours that it is good for.
  writer body = write_to(json, sizeof json);
  put_text(&body, "{\"app_id\":\"", app_id);
  put_text(&body, "\",\"app_secret\":\"", app_secret);
  put(&body, "\"}");
  if (!call("/open-apis/auth/v3/tenant_access_token/internal", NULL, json,
            reply))
    return false;
  feishu_bytes member =
      feishu_json_member(bytes_of(reply), bytes_of("tenant_access_token"));
  char token[512], path[256];
  snprintf(token, sizeof token, "%.*s", (int)member.len, member.data);
  snprintf(path, sizeof path, "/open-apis/im/v1/messages/%s/reply", message_id);

  writer inner = write_to(content, sizeof content);
  put_text(&inner, "{\"text\":\"You said: ", words);
  put(&inner, "\"}");
  body = write_to(json, sizeof json);
  put_text(&body, "{\"msg_type\":\"text\",\"content\":\"", content);
  // The platform keeps one reply of those with the same uuid, so an event that
  // is pushed twice is answered once.
  put_text(&body, "\",\"uuid\":\"", message_id);
  put(&body, "\"}");
  return call(path, token, json, reply);
}
