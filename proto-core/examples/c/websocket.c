#define _GNU_SOURCE // strcasestr
#include "websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"

enum {
  OP_CONTINUATION = 0,
  OP_TEXT = 1,
  OP_BINARY = 2,
  OP_CLOSE = 8,
  OP_PING = 9,
  OP_PONG = 10,
  FINAL = 0x80,
  MASKED = 0x80,
  CONTROL_BYTES_MAX = 125,
  SEND_HEAD_BYTES_MAX = 14,
  NORMAL_CLOSURE = 1000,
};

static bool send_frame(websocket *ws, uint8_t opcode, const void *bytes,
                       size_t len);
static bool handshake(websocket *ws, const char *url, ws_refusal *refusal);
static bool receive_more(websocket *ws);
static ws_event end_link(websocket *ws);

bool ws_open(websocket *ws, const char *url, ws_refusal *refusal) {
  *refusal = (ws_refusal){0};
  ws->close_code = 0;
  ws->fd = net_connect(url);
  if (ws->fd >= 0 && !handshake(ws, url, refusal))
    end_link(ws);
  return ws->fd >= 0;
}

bool ws_send(websocket *ws, const void *bytes, size_t len) {
  return ws->fd >= 0 && send_frame(ws, FINAL | OP_BINARY, bytes, len);
}

void ws_close(websocket *ws) {
  if (ws->fd < 0)
    return;
  const uint8_t code[2] = {NORMAL_CLOSURE >> 8, NORMAL_CLOSURE & 0xff};
  send_frame(ws, FINAL | OP_CLOSE, code, sizeof code);
  end_link(ws);
}

// Asks for the upgrade. What comes behind the answer stays in the buffer.
static bool handshake(websocket *ws, const char *url, ws_refusal *refusal) {
  int host_len;
  const char *host = url_host(url, &host_len);
  char request[2048];
  // On loopback nobody is in between who could take this for something else, so
  // the key is constant and the answer to it is not checked.
  int len = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                     url_path(url), host_len, host);
  if (len < 0 || (size_t)len >= sizeof request ||
      !net_write(ws->fd, request, (size_t)len))
    return false;
  const char *end;
  uint64_t deadline = now_ms() + 5000;
  char *head = (char *)ws->buffer;
  do {
    if (!net_wait(ws->fd, deadline) || !receive_more(ws))
      return false;
    // `receive_more` leaves room for this.
    ws->buffer[ws->end] = '\0';
    end = strstr(head, "\r\n\r\n");
  } while (end == NULL);
  ws->raw = (size_t)(end + 4 - head);
  if (sscanf(head, "HTTP/1.1 %3u", &refusal->http_status) != 1)
    return false;
  const char *status = strcasestr(head, "\r\nHandshake-Status:");
  const char *auth_error = strcasestr(head, "\r\nHandshake-Autherrcode:");
  if (status != NULL)
    refusal->status = strtoll(strchr(status, ':') + 1, NULL, 10);
  if (auth_error != NULL)
    refusal->auth_error = strtoll(strchr(auth_error, ':') + 1, NULL, 10);
  return refusal->http_status == 101;
}

typedef enum { FRAME_PARTIAL, FRAME_READ, FRAME_WRONG } frame_state;

typedef struct {
  bool final;
  uint8_t opcode;
  const uint8_t *payload;
  size_t len;
} ws_frame;

// Takes the next whole frame out of the buffer.
static frame_state take_frame(websocket *ws, ws_frame *frame) {
  const uint8_t *bytes = ws->buffer + ws->raw;
  size_t have = ws->end - ws->raw, head = 2;
  if (have < head)
    return FRAME_PARTIAL;
  uint64_t len = bytes[1] & 0x7f;
  size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
  head += extra;
  if (have < head)
    return FRAME_PARTIAL;
  if (extra > 0) {
    len = 0;
    for (size_t i = 2; i < head; i++)
      len = len << 8 | bytes[i];
  }
  // Servers do not mask, and no extension was asked for.
  if ((bytes[0] & 0x70) != 0 || (bytes[1] & MASKED) != 0 || len > WS_BYTES_MAX)
    return FRAME_WRONG;
  if (have - head < len)
    return FRAME_PARTIAL;
  frame->final = (bytes[0] & FINAL) != 0;
  frame->opcode = bytes[0] & 0x0f;
  frame->payload = bytes + head;
  frame->len = (size_t)len;
  ws->raw += head + frame->len;
  return FRAME_READ;
}

static ws_event read_control(websocket *ws, const ws_frame *frame) {
  if (!frame->final || frame->len > CONTROL_BYTES_MAX)
    return end_link(ws);
  if (frame->opcode == OP_PING)
    send_frame(ws, FINAL | OP_PONG, frame->payload, frame->len);
  if (frame->opcode != OP_CLOSE)
    return WS_CONTROL;
  if (frame->len >= 2)
    ws->close_code = (uint16_t)(frame->payload[0] << 8 | frame->payload[1]);
  send_frame(ws, FINAL | OP_CLOSE, frame->payload, frame->len);
  return end_link(ws);
}

ws_event ws_receive(websocket *ws, uint64_t deadline_ms) {
  if (ws->handed_out) {
    ws->handed_out = false;
    ws->joined = 0;
    ws->opcode = OP_CONTINUATION;
  }
  for (;;) {
    ws_frame frame;
    switch (take_frame(ws, &frame)) {
    case FRAME_WRONG:
      return end_link(ws);
    case FRAME_PARTIAL:
      if (!net_wait(ws->fd, deadline_ms))
        return WS_NOTHING;
      if (!receive_more(ws))
        return end_link(ws);
      continue;
    case FRAME_READ:
      break;
    }
    if (frame.opcode >= OP_CLOSE)
      return read_control(ws, &frame);
    // A message begins when none is under way, and only then.
    if ((frame.opcode == OP_CONTINUATION) != (ws->opcode != OP_CONTINUATION))
      return end_link(ws);
    if (frame.opcode != OP_CONTINUATION)
      ws->opcode = frame.opcode;
    memmove(ws->buffer + ws->joined, frame.payload, frame.len);
    ws->joined += frame.len;
    if (frame.final) {
      ws->handed_out = true;
      return ws->opcode == OP_TEXT ? WS_TEXT : WS_BINARY;
    }
  }
}

// Reads once, to the end of the buffer, and leaves the last byte of it free.
// False when the link is gone or the message too large.
static bool receive_more(websocket *ws) {
  memmove(ws->buffer + ws->joined, ws->buffer + ws->raw, ws->end - ws->raw);
  ws->end = ws->end - ws->raw + ws->joined;
  ws->raw = ws->joined;
  ssize_t got =
      recv(ws->fd, ws->buffer + ws->end, sizeof ws->buffer - 1 - ws->end, 0);
  if (got > 0)
    ws->end += (size_t)got;
  return got > 0;
}

static bool send_frame(websocket *ws, uint8_t opcode, const void *bytes,
                       size_t len) {
  uint8_t head[SEND_HEAD_BYTES_MAX] = {opcode};
  size_t extra = len < 126 ? 0 : len <= 0xffff ? 2 : 8;
  head[1] = (uint8_t)(MASKED | (extra == 0 ? len : extra == 2 ? 126 : 127));
  for (size_t i = 0; i < extra; i++)
    head[2 + i] = (uint8_t)((uint64_t)len >> 8 * (extra - 1 - i));
  uint8_t *mask = head + 2 + extra;
  if (getrandom(mask, 4, 0) != 4 || !net_write(ws->fd, head, 2 + extra + 4))
    return false;
  const uint8_t *rest = bytes;
  uint8_t masked[512];
  for (size_t done = 0; done < len;) {
    size_t piece = len - done < sizeof masked ? len - done : sizeof masked;
    for (size_t i = 0; i < piece; i++)
      masked[i] = rest[done + i] ^ mask[(done + i) % 4];
    if (!net_write(ws->fd, masked, piece))
      return false;
    done += piece;
  }
  return true;
}

// Nothing of a link outlives it.
static ws_event end_link(websocket *ws) {
  close(ws->fd);
  ws->fd = -1;
  ws->joined = ws->raw = ws->end = 0;
  ws->opcode = OP_CONTINUATION;
  ws->handed_out = false;
  return WS_CLOSED;
}
