/* probe - connects, asks, and reads the answer (see probe.h). */
#include "checker/probe.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/stream.h"
#include "config/text_checks.h"
#include "http/body.h"
#include "http/parser.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PROBE_MAGIC 0x70726f62U

/* Heads of answers. */
#define PROBE_HEAD_BYTES_MAX 32768
#define PROBE_FIELDS_MAX     200

/* Interim answers before the final one. */
#define PROBE_INTERIM_MAX 8

/* A path of the settings, a name of the registry, and what stands around them. */
#define PROBE_REQUEST_MAX 2048
#define PROBE_REQUEST_FORMAT                                                                                 \
	"GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: srsd-proxy\r\nAccept: */*\r\nConnection: close\r\n\r\n"

_Static_assert(TEXT_PROBE_PATH_MAX + BACKEND_NAME_BYTES + sizeof(PROBE_REQUEST_FORMAT) <= PROBE_REQUEST_MAX,
	"the longest path and the longest name fit into a request");

/* Of a body, this much is read: to see that it does not end early. */
#define PROBE_BODY_BYTES_MAX (64 * 1024)

/* Parts of a body that are read at a time. */
#define PROBE_PARTS 16

enum probe_state { PROBE_CONNECTING, PROBE_SENDING, PROBE_RECEIVING, PROBE_READING, PROBE_OVER };

static const uint8_t probe_edges[] = {
	[PROBE_CONNECTING] = BIT(PROBE_SENDING) | BIT(PROBE_OVER),
	[PROBE_SENDING] = BIT(PROBE_RECEIVING) | BIT(PROBE_OVER),
	[PROBE_RECEIVING] = BIT(PROBE_READING) | BIT(PROBE_OVER),
	[PROBE_READING] = BIT(PROBE_OVER),
	[PROBE_OVER] = 0,
};

struct probe {
	uint32_t magic;
	enum probe_state state;
	struct prober *prober;
	struct backend *backend;
	const char *path;
	probe_done_fn *on_done;
	void *owner;
	struct stream stream;
	struct wheel_timer timer;
	struct doomed doomed;
	uint64_t end_ms;
	uint32_t address;
	uint32_t others_left; /* addresses not tried yet */
	enum evidence worst;  /* of those that were */
	int interim_count;
	struct bytes input; /* a part of a head */
	struct http_body_reader body;
	size_t body_bytes; /* of it and its framing, so far */
	struct http_parser parser;
};

static stream_ready_fn probe_on_ready;

/* ---- Ends ------------------------------------------------------------------------------------ */

static void probe_enter(struct probe *probe, enum probe_state next)
{
	CHECK_EDGE(probe_edges, probe->state, next);
	probe->state = next;
}

static void probe_free(struct doomed *doomed)
{
	struct probe *probe = CONTAINER_OF(doomed, struct probe, doomed);
	MAGIC_CLEAR(probe);
	blocks_give(&probe->prober->probes, probe);
}

static void probe_close(struct probe *probe)
{
	probe_enter(probe, PROBE_OVER);
	stream_close(&probe->stream);
	wheel_forget(&probe->timer);
	bytes_free(&probe->input);
	backend_unref(&probe->backend);
	loop_doom(probe->prober->loop, &probe->doomed, probe_free);
}

static void probe_end(struct probe *probe, enum evidence evidence)
{
	probe_close(probe);
	probe->on_done(probe->owner, evidence);
}

void probe_cancel(struct probe **probe)
{
	if (*probe != NULL)
		probe_close(*probe);
	*probe = NULL;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

static enum evidence evidence_of_connect(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET: /* it ended while it was being asked */
		return EVIDENCE_PROBE_REFUSED;
	case ETIMEDOUT:
		return EVIDENCE_PROBE_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EADDRNOTAVAIL: /* no port of ours is left */
	case EAGAIN:
		return EVIDENCE_NONE;
	default:
		return EVIDENCE_PROBE_UNREACHABLE;
	}
}

/* Of several addresses: that one does not answer says the least for certain, that there is no way to one says
 * less than that it refuses. */
static void probe_note(struct probe *probe, enum evidence evidence)
{
	if (probe->worst != EVIDENCE_PROBE_TIMEOUT &&
		(probe->worst != EVIDENCE_PROBE_REFUSED || evidence == EVIDENCE_PROBE_TIMEOUT))
		probe->worst = evidence;
}

/* Each address gets its part of the time that is left. */
static void probe_arm_connect(struct probe *probe)
{
	uint64_t now_ms = clock_coarse_ms();
	uint64_t left_ms = probe->end_ms > now_ms ? probe->end_ms - now_ms : 0;
	wheel_arm(&probe->prober->loop->wheel, &probe->timer, now_ms + left_ms / (probe->others_left + 1));
}

static bool probe_turn(struct probe *probe)
{
	if (probe->others_left == 0)
		return false;
	probe->others_left--;
	probe->address = (probe->address + 1) % probe->backend->address_count;
	return true;
}

/* Begin to connect to the present address, or to the first behind it that does not fail at once. False: none;
 * then probe->worst says why. */
static bool probe_dial(struct probe *probe)
{
	bool is_connected = false;
	int fd;
	while ((fd = address_dial(&probe->backend->addresses[probe->address], &is_connected)) < 0) {
		enum evidence evidence = evidence_of_connect(errno);
		if (evidence == EVIDENCE_NONE)
			probe->worst = EVIDENCE_NONE;
		else
			probe_note(probe, evidence);
		if (evidence == EVIDENCE_NONE || !probe_turn(probe))
			return false;
	}
	if (stream_open(&probe->stream, probe->prober->loop, fd, is_connected, probe_on_ready))
		return true;
	probe->worst = EVIDENCE_NONE;
	return false;
}

/* The present address is of no use: go on to the next. */
static void probe_connect_failed(struct probe *probe, enum evidence evidence)
{
	stream_close(&probe->stream);
	if (evidence != EVIDENCE_NONE)
		probe_note(probe, evidence);
	if (evidence == EVIDENCE_NONE || !probe_turn(probe) || !probe_dial(probe)) {
		probe_end(probe, evidence == EVIDENCE_NONE ? EVIDENCE_NONE : probe->worst);
		return;
	}
	probe_arm_connect(probe);
	if (probe->stream.is_writable) /* connected at once: no edge tells of that */
		stream_again(&probe->stream);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void probe_receive_start(struct probe *probe)
{
	static const struct http_parser_limits limits = {
		.head_bytes = PROBE_HEAD_BYTES_MAX, .fields = PROBE_FIELDS_MAX};
	http_parser_start(&probe->parser, HTTP_KIND_RESPONSE, &limits);
}

/* A request is shorter than any socket's buffer: what is not taken at once is a fault of the connection. */
static void probe_send(struct probe *probe)
{
	char request[PROBE_REQUEST_MAX];
	int bytes =
		snprintf(request, sizeof(request), PROBE_REQUEST_FORMAT, probe->path, probe->backend->name);
	struct iovec part = {.iov_base = request, .iov_len = (size_t)bytes};
	size_t sent = 0;
	assert(bytes > 0 && (size_t)bytes < sizeof(request));
	enum stream_result result = stream_send(&probe->stream, &part, 1, &sent);
	if (result != STREAM_OK || sent < part.iov_len) {
		probe_end(probe, EVIDENCE_PROBE_CLOSED);
		return;
	}
	probe_receive_start(probe);
	probe_enter(probe, PROBE_RECEIVING);
}

/* The whole final head is there. */
static void probe_judge_head(struct probe *probe)
{
	const struct http_head *head = &probe->parser.head;
	struct http_framing framing;
	if (head->status >= 500) {
		probe_end(probe, EVIDENCE_PROBE_STATUS);
	} else if (http_response_framing(head, HTTP_METHOD_GET, &framing) != PROBLEM_NONE) {
		probe_end(probe, EVIDENCE_PROBE_CLOSED);
	} else {
		http_body_start(&probe->body, &framing);
		probe_enter(probe, PROBE_READING);
	}
}

/* Read on in the body. What is longer than is read will do. */
static void probe_read(struct probe *probe, const char *at, size_t bytes)
{
	enum http_body_verdict verdict = HTTP_BODY_FULL;
	while (verdict == HTTP_BODY_FULL) {
		struct iovec parts[PROBE_PARTS];
		int count = PROBE_PARTS;
		size_t used = 0;
		verdict = http_body_read(&probe->body, at, bytes, parts, &count, &used);
		at += used;
		bytes -= used;
		probe->body_bytes += used;
	}
	if (verdict == HTTP_BODY_BAD)
		probe_end(probe, EVIDENCE_PROBE_CLOSED);
	else if (verdict == HTTP_BODY_DONE || probe->body_bytes > PROBE_BODY_BYTES_MAX)
		probe_end(probe, EVIDENCE_PROBE_PASSED);
}

/* The whole head of an answer is there, the first `*bytes` of `at`. Returns true when it was an interim one.
 * Takes it off the front. */
static bool probe_take_head(struct probe *probe, const char **at, size_t *bytes)
{
	const struct http_head *head = &probe->parser.head;
	if (head->status >= 200) {
		*at += head->bytes;
		*bytes -= head->bytes;
		probe_judge_head(probe);
		return false;
	}
	if (head->status == 101 || ++probe->interim_count > PROBE_INTERIM_MAX) {
		probe_end(probe, EVIDENCE_PROBE_CLOSED);
		return false;
	}
	*at += head->bytes;
	*bytes -= head->bytes;
	probe_receive_start(probe);
	return true;
}

/* Read on in what has come: `bytes` from `at`, which are not kept yet. */
static void probe_parse(struct probe *probe, const char *at, size_t bytes)
{
	enum http_verdict verdict = HTTP_MORE;
	if (bytes_count(&probe->input) > 0) {
		if (!bytes_append(&probe->input, at, bytes)) {
			probe_end(probe, EVIDENCE_NONE);
			return;
		}
		at = bytes_at(&probe->input);
		bytes = bytes_count(&probe->input);
	}
	const char *rest = at;
	size_t rest_bytes = bytes;
	do {
		verdict = http_parser_feed(&probe->parser, rest, rest_bytes);
	} while (verdict == HTTP_DONE && probe_take_head(probe, &rest, &rest_bytes));
	if (probe->state == PROBE_OVER)
		return;
	if (probe->state == PROBE_READING) {
		probe_read(probe, rest, rest_bytes);
		return;
	}
	if (verdict == HTTP_BAD)
		probe_end(probe, EVIDENCE_PROBE_CLOSED);
	else if (bytes_count(&probe->input) > 0)
		bytes_consume(&probe->input, bytes - rest_bytes);
	else if (rest_bytes > 0 && !bytes_append(&probe->input, rest, rest_bytes))
		probe_end(probe, EVIDENCE_NONE);
}

/* It sends no more. */
static void probe_finish(struct probe *probe, enum stream_result result)
{
	bool is_whole = probe->state == PROBE_READING && result == STREAM_END &&
			http_body_ends_at_close(&probe->body);
	probe_end(probe, is_whole ? EVIDENCE_PROBE_PASSED : EVIDENCE_PROBE_CLOSED);
}

static void probe_receive(struct probe *probe)
{
	struct loop *loop = probe->prober->loop;
	while (probe->state != PROBE_OVER && probe->stream.is_readable) {
		size_t received = 0;
		enum stream_result result =
			stream_receive(&probe->stream, loop->receive_buffer, loop->receive_bytes, &received);
		if (result == STREAM_AGAIN)
			return;
		if (result != STREAM_OK)
			probe_finish(probe, result);
		else if (probe->state == PROBE_READING)
			probe_read(probe, loop->receive_buffer, received);
		else
			probe_parse(probe, loop->receive_buffer, received);
	}
}

/* ---- Events ---------------------------------------------------------------------------------- */

static void probe_connected(struct probe *probe)
{
	backend_prefer(probe->backend, probe->address);
	if (probe->path == NULL) {
		probe_end(probe, EVIDENCE_PROBE_PASSED);
		return;
	}
	probe_enter(probe, PROBE_SENDING);
	wheel_arm(&probe->prober->loop->wheel, &probe->timer, probe->end_ms);
	probe_send(probe);
}

static void probe_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct stream *stream = stream_note(arg, what);
	struct probe *probe = CONTAINER_OF(stream, struct probe, stream);
	(void)fd;
	assert(probe->magic == PROBE_MAGIC);
	if (probe->state == PROBE_CONNECTING) {
		int error = stream_error(stream);
		if (error != 0)
			probe_connect_failed(probe, evidence_of_connect(error));
		else if (stream->is_writable)
			probe_connected(probe);
	}
	if (probe->state == PROBE_RECEIVING || probe->state == PROBE_READING)
		probe_receive(probe);
}

static void probe_on_timer(struct wheel_timer *timer)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	assert(probe->magic == PROBE_MAGIC);
	if (probe->state == PROBE_CONNECTING)
		probe_connect_failed(probe, EVIDENCE_PROBE_TIMEOUT);
	else if (probe->state == PROBE_READING) /* some answers have no end */
		probe_end(probe, EVIDENCE_PROBE_PASSED);
	else
		probe_end(probe, EVIDENCE_PROBE_TIMEOUT);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

void prober_init(struct prober *prober, struct loop *loop)
{
	prober->loop = loop;
	blocks_init(&prober->probes, &loop->wheel, sizeof(struct probe));
}

void prober_finish(struct prober *prober)
{
	blocks_finish(&prober->probes);
}

enum evidence probe_begin(struct prober *prober, const struct probe_plan *plan, probe_done_fn *on_done,
	void *owner, struct probe **out)
{
	struct probe *probe = blocks_take(&prober->probes);
	*out = NULL;
	if (probe == NULL)
		return EVIDENCE_NONE;
	memset(probe, 0, offsetof(struct probe, parser));
	probe->magic = PROBE_MAGIC;
	probe->prober = prober;
	probe->backend = plan->backend;
	probe->path = plan->path;
	probe->on_done = on_done;
	probe->owner = owner;
	probe->worst = EVIDENCE_PROBE_UNREACHABLE;
	probe->address = backend_preferred(plan->backend);
	probe->others_left = plan->backend->address_count - 1;
	probe->end_ms = clock_coarse_ms() + plan->timeout_ms;
	probe->stream.fd = -1;
	if (!probe_dial(probe)) {
		enum evidence evidence = probe->worst;
		blocks_give(&prober->probes, probe);
		return evidence;
	}
	if (probe->stream.is_writable && plan->path == NULL) {
		backend_prefer(probe->backend, probe->address);
		stream_close(&probe->stream);
		blocks_give(&prober->probes, probe);
		return EVIDENCE_PROBE_PASSED;
	}
	(void)backend_ref(probe->backend);
	wheel_timer_init(&probe->timer, probe_on_timer);
	probe_arm_connect(probe);
	if (probe->stream.is_writable)
		stream_again(&probe->stream);
	*out = probe;
	return EVIDENCE_NONE;
}
