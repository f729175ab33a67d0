// The client's side of RFC 6455, for loopback: a library takes its place where
// there is TLS.
#ifndef WEBSOCKET_H
#define WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of one message, at most. Feishu cuts its events into smaller ones.
enum { WS_BYTES_MAX = 1 << 20 };

typedef struct {
  int fd; // -1 while there is no link
  // A message is joined at the start of the buffer; behind it, in [raw, end),
  // are bytes that were received and not yet read.
  size_t joined, raw, end;
  uint8_t opcode;     // of the message that is being joined
  bool handed_out;    // the joined message is the caller's until the next call
  uint16_t close_code; // 0 without one
  uint8_t buffer[WS_BYTES_MAX];
} websocket;

typedef struct {
  unsigned http_status; // 0 if there was no answer
  int64_t status, auth_error;
} ws_refusal;

typedef enum { WS_NOTHING, WS_BINARY, WS_TEXT, WS_CONTROL, WS_CLOSED } ws_event;

// Whether the link is open; if not, `refusal` says what the platform said.
bool ws_open(websocket *ws, const char *url, ws_refusal *refusal);

// Sends one binary message.
bool ws_send(websocket *ws, const void *bytes, size_t len);

// The next message, waiting for it until the deadline. It begins at `buffer`,
// has `joined` bytes, and is good until the next call.
ws_event ws_receive(websocket *ws, uint64_t deadline_ms);

// Says goodbye, if there is a link, and closes it.
void ws_close(websocket *ws);

#endif
