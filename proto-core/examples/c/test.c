// What the header promises of odd calls: null, twice, late, too small a buffer.
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "feishu.h"

static const feishu_bytes nothing = {NULL, 0};

static feishu_bytes bytes_of(const char *text) {
  return (feishu_bytes){(const uint8_t *)text, strlen(text)};
}

static bool same(feishu_bytes bytes, const char *text) {
  return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

// Drains the machine; says whether this kind of output was among the rest.
static bool drained(feishu_machine *machine, uint64_t now,
                    feishu_output_kind kind, uint64_t *epoch) {
  bool seen = false;
  feishu_output output;
  while ((output = feishu_poll_output(machine, now)).kind !=
         FEISHU_OUTPUT_KIND_NONE)
    if (output.kind == kind) {
      seen = true;
      *epoch = output.epoch;
    }
  return seen;
}

// A machine with an open link at time 0.
static feishu_machine *opened(uint64_t *epoch) {
  feishu_machine *machine = feishu_new(0, 1, true);
  feishu_handle_timeout(machine, 0);
  assert(drained(machine, 0, FEISHU_OUTPUT_KIND_FETCH_ENDPOINT, epoch));
  feishu_bytes reply = bytes_of("{\"code\":0,\"data\":{\"URL\":"
                                "\"ws://127.0.0.1:9/ws?service_id=7\"}}");
  feishu_handle_endpoint(machine, 0, *epoch, 200, reply);
  assert(drained(machine, 0, FEISHU_OUTPUT_KIND_CONNECT, epoch));
  feishu_handle_open(machine, 0, *epoch);
  assert(drained(machine, 0, FEISHU_OUTPUT_KIND_SEND, epoch));
  return machine;
}

// A frame (SeqID 1, LogID 2, service 7, method data) with the header
// type=event and the payload {}.
static const uint8_t event_frame[] =
    "\x08\x01\x10\x02\x18\x07\x20\x01"
    "\x2a\x0d\x0a\x04type\x12\x05"
    "event\x42\x02{}";
static const feishu_bytes frame = {event_frame, sizeof event_frame - 1};

static void a_null_machine_does_nothing(void) {
  feishu_handle_timeout(NULL, 0);
  feishu_handle_endpoint(NULL, 0, 1, 200, nothing);
  feishu_handle_open(NULL, 0, 1);
  feishu_handle_refused(NULL, 0, 1, 403, 0, 0);
  feishu_handle_closed(NULL, 0, 1, 0);
  feishu_handle_other(NULL, 1, true);
  feishu_close(NULL, 0);
  feishu_free(NULL);
  assert(feishu_handle_message(NULL, 0, 1, frame).id == 0);
  assert(feishu_acknowledge(NULL, 0, 1).len == 0);
  assert(feishu_poll_output(NULL, 0).kind == FEISHU_OUTPUT_KIND_NONE);
  assert(feishu_poll_timeout(NULL) == UINT64_MAX);
}

static void a_delivery_is_redeemed_once_and_in_time(void) {
  uint64_t epoch;
  feishu_machine *machine = opened(&epoch);
  feishu_delivery first = feishu_handle_message(machine, 1, epoch, frame);
  assert(first.id != 0 && same(first.payload, "{}") && !first.gzip);
  assert(feishu_acknowledge(machine, 2, first.id + 1).len == 0);
  assert(feishu_acknowledge(machine, 2, first.id).len > frame.len);
  assert(feishu_acknowledge(machine, 2, first.id).len == 0);

  uint64_t late = feishu_handle_message(machine, 3, epoch, frame).id;
  feishu_handle_timeout(machine, 3000);
  assert(drained(machine, 3000, FEISHU_OUTPUT_KIND_SEND, &epoch));
  assert(late != 0 && feishu_answer(machine, 3000, late, bytes_of("{}")).len == 0);
  feishu_free(machine);
}

static void what_belongs_to_another_attempt_is_ignored(void) {
  uint64_t epoch;
  feishu_machine *machine = opened(&epoch);
  feishu_handle_closed(machine, 1, epoch + 1, 0);
  feishu_handle_closed(machine, 1, epoch - 1, 0);
  assert(feishu_handle_message(machine, 1, epoch - 1, frame).id == 0);
  assert(feishu_handle_message(machine, 1, epoch, nothing).id == 0);
  assert(feishu_handle_message(machine, 1, epoch, frame).id != 0);
  feishu_handle_closed(machine, 1, epoch, 1000);
  assert(feishu_handle_message(machine, 1, epoch, frame).id == 0);
  feishu_free(machine);
}

static void a_closed_machine_waits_for_nothing(void) {
  uint64_t epoch;
  feishu_machine *machine = opened(&epoch);
  feishu_close(machine, 1);
  assert(drained(machine, 1, FEISHU_OUTPUT_KIND_DISCONNECT, &epoch));
  assert(feishu_poll_timeout(machine) == UINT64_MAX);
  feishu_free(machine);
}

static void a_text_is_cut_between_characters(void) {
  feishu_bytes event = bytes_of(
      "{\"schema\":\"2.0\",\"header\":{\"event_type\":\"im.message.receive_v1\"},"
      "\"event\":{\"sender\":{},\"message\":{\"message_id\":\"om_1\","
      "\"chat_id\":\"oc_1\",\"chat_type\":\"p2p\",\"message_type\":\"text\","
      "\"content\":\"{\\\"text\\\":\\\"\xe4\xbd\xa0\xe5\xa5\xbd\\\"}\"}}}");
  uint8_t text[7] = "......";
  feishu_message message =
      feishu_read_message(event, bytes_of("cli_1"), nothing, text, 5);
  assert(same(message.message_id, "om_1") && same(message.chat_id, "oc_1"));
  assert(message.addressed && message.text_len == 3 && message.text_cut);
  assert(memcmp(text, "\xe4\xbd\xa0...", 6) == 0);
  message = feishu_read_message(event, bytes_of("cli_1"), nothing, text, 6);
  assert(message.text_len == 6 && !message.text_cut);
  message = feishu_read_message(event, bytes_of("cli_1"), nothing, NULL, 0);
  assert(message.text_len == 0 && message.text_cut);
  message = feishu_read_message(nothing, nothing, nothing, NULL, 0);
  assert(message.message_id.len == 0 && !message.addressed);
}

static void members_are_read_as_they_stand(void) {
  feishu_bytes object = bytes_of("{\"code\":0,\"token\":\"t-\\u0041\"}");
  assert(same(feishu_json_member(object, bytes_of("code")), "0"));
  assert(same(feishu_json_member(object, bytes_of("token")), "t-\\u0041"));
  assert(feishu_json_member(object, bytes_of("other")).len == 0);
  assert(feishu_json_member(bytes_of("{"), bytes_of("code")).len == 0);
  assert(feishu_json_member(nothing, nothing).len == 0);
}

int main(void) {
  a_null_machine_does_nothing();
  a_delivery_is_redeemed_once_and_in_time();
  what_belongs_to_another_attempt_is_ignored();
  a_closed_machine_waits_for_nothing();
  a_text_is_cut_between_characters();
  members_are_read_as_they_stand();
}
