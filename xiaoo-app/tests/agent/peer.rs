//! Others that an agent may talk to: a server of tools, and a page of the web.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A server of the Model Context Protocol, as a program: `sh SCRIPT CALLS REPORT`. It notes the
/// calls of `change` in one file, and `report` says what is in the other.
const SERVER: &str = r#"
# Slower than the daemon: a turn that goes on after a restart has to wait for it.
sleep 0.5
say() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
text() { say "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
tool() { printf '{"name":"%s","description":"Does it.","inputSchema":{"type":"object"}%s}' "$1" "$2"; }
reads=',"annotations":{"readOnlyHint":true}'
while IFS= read -r line; do
  rest=${line#*'"id":'}
  id=${rest%%[!0-9]*}
  [ -n "$id" ] || continue
  case $line in
    *'"method":"initialize"'*)
      say '"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"method":"tools/list"'*)
      say "\"result\":{\"tools\":[$(tool look "$reads"),$(tool flood "$reads"),$(tool report "$reads"),$(tool change '')]}" ;;
    *'"method":"tools/call"'*'"name":"look"'* | *'"name":"look"'*'"method":"tools/call"'*)
      what=${line#*'"what":"'}
      text "it says: ${what%%'"'*}" ;;
    *'"method":"tools/call"'*'"name":"flood"'*)
      text "$(head -c 40000 /dev/zero | tr '\0' x)" ;;
    *'"method":"tools/call"'*'"name":"report"'*)
      text "$(cat "$2")" ;;
    *'"method":"tools/call"'*'"name":"change"'*)
      echo changed >> "$1"
      text changed ;;
    *) say '"error":{"code":-32601,"message":"Method not found"}' ;;
  esac
done
"#;

pub(crate) struct Mcp {
    folder: TempDir,
}

impl Mcp {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("server.sh"), SERVER).unwrap();
        std::fs::write(folder.path().join("report"), "all is well").unwrap();
        Self { folder }
    }

    /// The section of a configuration that names it so.
    pub(crate) fn config(&self, name: &str, more: &str) -> String {
        let path = |file: &str| self.path(file).display().to_string();
        format!(
            "[tools.mcp.{name}]\ncommand = \"sh\"\nargs = {:?}\n{more}",
            ["server.sh", "calls", "report"].map(path)
        )
    }

    /// What `report` says; no quotes.
    pub(crate) fn reports(&self, text: &str) {
        std::fs::write(self.path("report"), text).unwrap();
    }

    /// How often `change` was called.
    pub(crate) fn changes(&self) -> usize {
        let calls = std::fs::read_to_string(self.path("calls"));
        calls.unwrap_or_default().lines().count()
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

/// A page at a port of this machine; gone when dropped.
pub(crate) struct Page {
    port: u16,
    visits: Arc<AtomicUsize>,
    serving: AbortHandle,
}

impl Page {
    pub(crate) async fn serve(html: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        let serving = tokio::spawn(async move {
            loop {
                let (mut visitor, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 4096];
                let _ = visitor.read(&mut request).await;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\nconnection: close";
                let page = format!("{head}\r\ncontent-length: {}\r\n\r\n{html}", html.len());
                let _ = visitor.write_all(page.as_bytes()).await;
            }
        });
        Self {
            port,
            visits,
            serving: serving.abort_handle(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
