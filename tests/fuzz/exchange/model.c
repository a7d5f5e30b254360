/* model - the invariants of the exchange target, checked over all that went over the wires.
 *
 *   backends:  every byte they get is of a well-formed request, HTTP/1.1, without extensions and trailers; it
 * is one that a client sent, with the client's body, complete only if the client's is; a connection carries
 * another request only after a complete and persistent response; requests that are not idempotent come once
 *   clients:   every byte they get is of a well-formed response, no more final ones than requests; each is of
 *              the backend that was asked for that very request, and begun after it was asked; complete only
 *              if the backend's is; or it is the proxy's own, if need be; whoever sent a complete request and
 *              stays is answered
 */
#include "model.h"

#include <string.h>

/* Of each stream so much is shown where something does not hold. */
#define SHOWN_MAX 2000

static struct {
	struct messages requests, responses;
} told[WIRES_MAX]; /* of each wire: what went towards backends, and what came back */

static const struct model_settings *settings;
static size_t concerned; /* index of the wire that is being looked at */

static const struct wire *wire_at(size_t index)
{
	return network.wires[index];
}

static void show(const char *what, const struct buffer *buffer, size_t bytes)
{
	fprintf(stderr, "  %s %zu of %zu bytes: ", what, bytes, buffer->count);
	for (size_t i = 0; i < bytes && i < SHOWN_MAX; i++) {
		unsigned char byte = (unsigned char)buffer->at[i];
		fprintf(stderr,
			byte == '\n'		   ? "\\n\n    "
			: byte < ' ' || byte > '~' ? "\\x%02x"
						   : "%c",
			byte);
	}
	fprintf(stderr, "\n");
}

/* Where something does not hold, all that went over the wires is shown before the process ends. */
static void must(bool holds, const char *what)
{
	if (holds)
		return;
	for (size_t i = 0; i < network.wire_count; i++) {
		const struct wire *wire = wire_at(i);
		fprintf(stderr, "%s%s %u%s%s%s%s%s\n", i == concerned ? "=> " : "",
			wire->is_client ? "client" : "backend connection", wire->number,
			wire->peer < 0 ? ", closed by itself" : "", wire->was_reset ? " with a reset" : "",
			wire->has_ended ? ", ended by the proxy" : "",
			wire->is_reset_asked ? " with a reset" : "",
			wire->is_closed_rudely ? ", rudely" : "");
		show("sent", &wire->out, wire->out_sent);
		show("received", &wire->in, wire->in.count);
	}
	require(false, what);
}

static void read_wire(size_t index)
{
	const struct wire *wire = wire_at(index);
	struct messages *requests = &told[index].requests, *responses = &told[index].responses;
	if (wire->is_client) {
		bool is_ended = wire->has_ended && !wire->is_reset_asked;
		messages_read_requests(requests, &wire->out, wire->preface_bytes, wire->out_sent);
		messages_read_responses(responses, &wire->in, wire->in.count, requests, is_ended);
	} else {
		messages_read_requests(requests, &wire->in, 0, wire->in.count);
		messages_read_responses(
			responses, &wire->out, wire->out_sent, requests, wire->is_shut && !wire->was_reset);
	}
}

/* ---- Which request is which ------------------------------------------------------------------ */

/* A target as it is forwarded: without scheme and authority. */
static struct text forwarded_target(const struct http_message *message)
{
	struct text target = message->target;
	if (target.bytes < 7 || strncasecmp(target.at, "http://", 7) != 0)
		return target;
	target.at += 7;
	target.bytes -= 7;
	while (target.bytes > 0 && *target.at != '/' && *target.at != '?') {
		target.at++;
		target.bytes--;
	}
	return target;
}

/* An absolute-form may have no path, which is forwarded as "/" or, for OPTIONS, as "*". */
static bool is_same_target(struct text client, struct text backend, bool is_options)
{
	if (client.bytes == 0)
		return text_is(backend, is_options ? "*" : "/");
	if (client.at[0] == '?')
		return backend.bytes == client.bytes + 1 && backend.at[0] == '/' &&
		       memcmp(backend.at + 1, client.at, client.bytes) == 0;
	return client.bytes == backend.bytes && memcmp(client.at, backend.at, client.bytes) == 0;
}

/* Could `sent` be what became of `said`? */
static bool is_of(const struct http_message *said, const struct http_message *sent)
{
	if (!said->is_head_complete || said->method.bytes != sent->method.bytes ||
		memcmp(said->method.at, sent->method.at, sent->method.bytes) != 0 ||
		!is_same_target(forwarded_target(said), sent->target, text_is(said->method, "OPTIONS")))
		return false;
	if (sent->body.count > said->body.count || (sent->is_complete && !said->is_complete))
		return false;
	if (sent->is_complete && sent->body.count != said->body.count)
		return false;
	return sent->body.count == 0 || memcmp(said->body.at, sent->body.at, sent->body.count) == 0;
}

/* The client that a forwarded request says it is of: the index of its wire. */
static size_t client_of(const struct http_message *sent)
{
	unsigned number = 0;
	struct text addresses = message_field(sent, "x-forwarded-for");
	while (addresses.bytes > 0 && addresses.at[addresses.bytes - 1] != '.')
		addresses.bytes--;
	must(addresses.bytes >= 7, "a forwarded request does not say whose it is");
	for (const char *at = addresses.at + addresses.bytes; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (unsigned)(*at - '0');
	for (size_t i = 0; i < network.wire_count; i++)
		if (wire_at(i)->is_client && wire_at(i)->number == number)
			return i;
	must(false, "a forwarded request is of no client");
	return 0;
}

/* Does the request offer to speak WebSocket, the one protocol that may be switched to? */
static bool is_upgrade(const struct http_message *message)
{
	return text_is(message_field(message, "upgrade"), "websocket") &&
	       text_is_nocase(message_field(message, "connection"), "upgrade");
}

/* ---- What backends get ----------------------------------------------------------------------- */

static void check_forwarded(const struct http_message *sent)
{
	must(!sent->is_bad, "a backend gets a malformed request");
	must(!sent->is_http10 && !sent->has_extras, "a backend gets what is of the client's connection");
	if (!sent->is_head_complete)
		return;
	static const char *const gone[] = {"x-hop", "te", "keep-alive", "trailer", "connection", "upgrade"};
	size_t gone_count = is_upgrade(sent) ? 4 : 6;
	for (size_t i = 0; i < gone_count; i++)
		must(message_field(sent, gone[i]).at == NULL, "a hop-by-hop field gets to a backend");
	const struct messages *said = &told[client_of(sent)].requests;
	for (size_t i = 0; i < said->count; i++)
		if (is_of(&said->items[i], sent))
			return;
	must(said->is_cut, "a backend gets a request that no client made");
}

static const struct http_message *final_response(const struct messages *responses, size_t index)
{
	for (size_t i = 0; i < responses->count; i++)
		if (message_is_final(&responses->items[i]) && index-- == 0)
			return &responses->items[i];
	return NULL;
}

static void check_backend(size_t index)
{
	const struct messages *requests = &told[index].requests, *responses = &told[index].responses;
	for (size_t i = 0; i < requests->count; i++) {
		check_forwarded(&requests->items[i]);
		if (i + 1 == requests->count)
			break;
		const struct http_message *response = final_response(responses, i);
		must(requests->items[i].is_complete, "a request begins inside of another one");
		must(response != NULL && response->is_complete && !response->is_bad,
			"a connection is used again before its response is complete");
		must(response->is_persistent && !response->is_until_close,
			"a connection is used again that was to be closed");
	}
}

static bool is_idempotent(struct text method)
{
	static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (text_is(method, methods[i]))
			return true;
	return false;
}

/* How often was `sent`, by method and target, forwarded for this client, and how often did the client say it?
 */
static void check_repeats(size_t client, const struct http_message *said)
{
	size_t said_count = 0, sent_count = 0;
	struct text target = forwarded_target(said);
	for (size_t i = 0; i < told[client].requests.count; i++) {
		const struct http_message *other = &told[client].requests.items[i];
		struct text other_target = forwarded_target(other);
		said_count += other->is_head_complete && other_target.bytes == target.bytes &&
			      memcmp(other_target.at, target.at, target.bytes) == 0 &&
			      other->method.bytes == said->method.bytes &&
			      memcmp(other->method.at, said->method.at, said->method.bytes) == 0;
	}
	for (size_t wire = 0; wire < network.wire_count; wire++)
		for (size_t i = 0; !wire_at(wire)->is_client && i < told[wire].requests.count; i++) {
			const struct http_message *sent = &told[wire].requests.items[i];
			sent_count +=
				sent->is_head_complete && client_of(sent) == client && is_of(said, sent);
		}
	size_t most = said_count * (is_idempotent(said->method) ? settings->tries_max : 1);
	must(sent_count <= most, "a request is repeated that must not be, or too often");
}

/* ---- What clients get ------------------------------------------------------------------------ */

static bool is_same_text(struct text a, struct text b)
{
	return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}

/* Could `got` be what became of `given`? */
static bool is_made_of(const struct http_message *given, const struct http_message *got)
{
	if (given->status != got->status || given->is_bad ||
		!is_same_text(message_field(given, "x-tag"), message_field(got, "x-tag")) ||
		!is_same_text(given->reason, got->reason))
		return false;
	if (got->is_complete ? !given->is_complete || got->body.count != given->body.count
			     : got->body.count > given->body.count)
		return false;
	return got->body.count == 0 || memcmp(got->body.at, given->body.at, got->body.count) == 0;
}

/* What is behind the requests and the responses of these two wires goes through as it is. */
static void check_tunnel(size_t client, size_t backend)
{
	const struct wire *near = wire_at(client), *far = wire_at(backend);
	size_t near_out = told[client].requests.end, near_in = told[client].responses.end;
	size_t far_in = told[backend].requests.end, far_out = told[backend].responses.end;
	must(is_upgrade(&told[client].requests.items[told[client].requests.count - 1]),
		"a protocol is switched that nobody asked for");
	must(told[backend].requests.is_switched, "a protocol is switched on one side alone");
	must(far->in.count - far_in <= near->out_sent - near_out &&
			near->in.count - near_in <= far->out_sent - far_out,
		"more comes out of a tunnel than went in");
	must(memcmp(far->in.at + far_in, near->out.at + near_out, far->in.count - far_in) == 0 &&
			memcmp(near->in.at + near_in, far->out.at + far_out, near->in.count - near_in) == 0,
		"something else comes out of a tunnel than went in");
}

/* Is `got` of a backend that was asked for `said`, and gave it after it was asked? Bytes that come in the
 * very turn in which the connection is used again cannot be told from an answer. */
static bool has_giver(size_t client, const struct http_message *said, const struct http_message *got)
{
	for (size_t wire = 0; wire < network.wire_count; wire++) {
		const struct messages *requests = &told[wire].requests;
		for (size_t i = 0; !wire_at(wire)->is_client && i < requests->count; i++) {
			const struct http_message *sent = &requests->items[i];
			if (!sent->is_head_complete || client_of(sent) != client || !is_of(said, sent))
				continue;
			const struct http_message *given = final_response(&told[wire].responses, i);
			if (given == NULL || !is_made_of(given, got))
				continue;
			uint64_t asked = journal_turn(&wire_at(wire)->in_journal, sent->start);
			uint64_t answered = journal_turn(&wire_at(wire)->out_journal, given->start);
			must(answered + 1 >= asked, "a client gets what was said before it asked");
			if (got->status == 101)
				check_tunnel(client, wire);
			return true;
		}
	}
	return false;
}

/* Is it a target that peer_request() makes? */
static bool is_of_ours(struct text target)
{
	return target.bytes > 6 &&
	       (memcmp(target.at, "/all/c", 6) == 0 || memcmp(target.at, "/few/c", 6) == 0);
}

/* Did a backend that was asked for `said` give a reason to call it bad? */
static bool is_backend_to_blame(size_t client, const struct http_message *said)
{
	for (size_t wire = 0; wire < network.wire_count; wire++) {
		const struct messages *requests = &told[wire].requests;
		for (size_t i = 0; !wire_at(wire)->is_client && i < requests->count; i++) {
			const struct http_message *sent = &requests->items[i];
			if (sent->is_head_complete && (client_of(sent) != client || !is_of(said, sent)))
				continue;
			const struct http_message *given = final_response(&told[wire].responses, i);
			if (given == NULL || !given->is_complete || given->status == 101 ||
				given->status >= 600 || wire_at(wire)->was_reset)
				return true;
			if (journal_turn(&wire_at(wire)->out_journal, given->start) + 1 <
				journal_turn(&wire_at(wire)->in_journal, sent->start))
				return true;
		}
	}
	return network.has_refused;
}

static void check_own_answer(size_t client, const struct http_message *said, const struct http_message *got)
{
	must(got->status >= 400 && got->is_complete, "a response without Via is no whole answer of ours");
	must(message_field(got, "content-type").at != NULL && message_field(got, "date").at != NULL,
		"an answer of ours lacks fields");
	if (!said->is_complete || !is_of_ours(forwarded_target(said)))
		return;
	must(got->status != 502 || is_backend_to_blame(client, said), "a good backend is called bad");
	static const int fair[] = {408, 413, 429, 502, 503, 504};
	for (size_t i = 0; i < sizeof(fair) / sizeof(fair[0]); i++)
		if (got->status == fair[i])
			return;
	must(false, "a good request is refused");
}

/* A response that is not complete must be the last thing of a connection that has visibly ended. */
static void check_cut(const struct wire *wire, const struct http_message *got, bool is_last)
{
	must(is_last, "bytes follow a response that is not complete");
	if (settings->is_quiet && wire->peer >= 0)
		must(wire->has_ended, "a response is never completed, and the connection never closed");
	if (got->is_until_close && wire->peer >= 0 && wire->has_ended)
		must(wire->is_reset_asked, "a cut response looks like a complete one");
}

/* Whoever has sent a complete request and is still there gets an answer. */
static void check_answered(const struct wire *wire, const struct messages *requests, size_t answered)
{
	if (!settings->is_quiet || wire->peer < 0 || requests->is_cut || answered >= requests->count)
		return;
	const struct http_message *said = &requests->items[answered];
	bool has_waited = wire->is_reset_asked && wire->has_held; /* until the proxy's patience ended */
	/* An idle connection may be closed in the very turn in which a request comes. */
	bool is_crossed =
		answered > 0 && journal_turn(&wire->out_journal, said->start) + 1 >= wire->closed_turn;
	must(!said->is_complete || has_waited || is_crossed, "a complete request is never answered");
}

static void check_client(size_t index)
{
	const struct wire *wire = wire_at(index);
	const struct messages *requests = &told[index].requests, *responses = &told[index].responses;
	size_t answered = 0;
	bool is_over = false;
	for (size_t i = 0; i < responses->count; i++) {
		const struct http_message *got = &responses->items[i], *said = &requests->items[answered];
		must(!got->is_bad && !got->has_extras, "a client gets a malformed response");
		must(!is_over, "a response follows one that closes");
		must(message_field(got, "content-length").at == NULL ||
				message_field(got, "transfer-encoding").at == NULL,
			"a client gets two kinds of framing");
		if (!got->is_head_complete) {
			check_cut(wire, got, i + 1 == responses->count);
			is_over = true;
			break;
		}
		if (!message_is_final(got)) {
			must(!said->is_http10, "HTTP/1.0 gets an informational response");
			continue;
		}
		answered++;
		is_over = !got->is_persistent || !got->is_complete;
		if (!got->is_complete)
			check_cut(wire, got, i + 1 == responses->count);
		if (message_field(got, "via").at == NULL)
			check_own_answer(index, said, got);
		if (message_field(got, "via").at == NULL && got->status == 408)
			return; /* with a body, if it was not known yet that it was to be a HEAD */
		if (message_field(got, "via").at != NULL)
			must(has_giver(index, said, got),
				"a client gets what no backend gave for its request");
	}
	must(responses->is_cut || requests->is_cut || responses->is_switched ||
			responses->end == wire->in.count,
		"a client gets more responses than it made requests");
	must(!wire->is_closed_rudely || settings->is_stopped || responses->is_switched,
		"a close may take an answer from the client");
	if (!is_over)
		check_answered(wire, requests, answered);
}

void model_check(const struct model_settings *model_settings)
{
	settings = model_settings;
	for (size_t i = 0; i < network.wire_count; i++)
		read_wire(i);
	for (size_t i = 0; i < network.wire_count; i++) {
		concerned = i;
		if (!wire_at(i)->is_client) {
			check_backend(i);
			continue;
		}
		check_client(i);
		for (size_t request = 0; request < told[i].requests.count; request++)
			if (told[i].requests.items[request].is_head_complete)
				check_repeats(i, &told[i].requests.items[request]);
	}
	for (size_t i = 0; i < network.wire_count; i++) {
		messages_clear(&told[i].requests);
		messages_clear(&told[i].responses);
	}
}
