/* trace - notes on one exchange (see trace.h). */
#include "exchange/trace.h"

#include "base/bytes.h"
#include "exchange/asker.h"

#include <stdlib.h>
#include <string.h>

static uint64_t trace_now_us(const struct exchange *exchange)
{
	return loop_now_us(exchange->shared->loop) - exchange->trace->begun_us;
}

/* ---- The request ------------------------------------------------------------------------------- */

/* Copy so much of a text as a line may show, and one byte more of a path, by which it is seen to be cut. */
static struct str trace_keep(char **at, struct str text, size_t bytes_max)
{
	struct str kept = {*at, text.bytes < bytes_max ? text.bytes : bytes_max};
	memcpy(*at, text.at, kept.bytes);
	*at += kept.bytes;
	return kept;
}

/* The one that trusted proxies ask for, or the peer. */
static struct str trace_keep_client(char **at, const struct downstream *client, const struct http_head *head)
{
	char text[NETWORK_TEXT_MAX];
	struct str address = downstream_address(client, text);
	struct network asker;
	if (UNLIKELY(http_has(head, HTTP_FIELD_X_FORWARDED_FOR)) && asker_find(client, head, &asker))
		address = str_of(network_format(&asker, text));
	return trace_keep(at, address, NETWORK_TEXT_MAX);
}

static size_t trace_texts_bytes(const struct http_head *head)
{
	size_t target =
		head->target.bytes <= ACCESS_PATH_BYTES_MAX ? head->target.bytes : ACCESS_PATH_BYTES_MAX + 1;
	return NETWORK_TEXT_MAX + 2 * ACCESS_TEXT_BYTES_MAX + target;
}

void trace_begin(struct exchange *exchange, const struct http_head *head)
{
	struct trace *trace = malloc(sizeof(*trace) + trace_texts_bytes(head));
	if (trace == NULL)
		return;
	char *at = trace->texts;
	trace->record = (struct access_record){
		.client = trace_keep_client(&at, exchange->client, head),
		.request_id = {exchange->request_id, exchange->request_id_bytes},
		.method = trace_keep(&at, http_text(head, head->method_name), ACCESS_TEXT_BYTES_MAX),
		.host = trace_keep(&at, http_text(head, head->authority), ACCESS_TEXT_BYTES_MAX),
		.path = trace_keep(&at, http_text(head, head->target), ACCESS_PATH_BYTES_MAX + 1),
		.bytes_in = head->bytes,
		.tries = trace->tries,
	};
	trace->begun_us = loop_now_us(exchange->shared->loop);
	trace->sent_before = exchange->client->request->bytes_sent;
	trace->names_used = 0;
	trace->explanation = NULL;
	exchange->trace = trace;
}

void trace_free(struct trace *trace)
{
	free(trace->explanation);
	free(trace);
}

void trace_take_body(struct trace *trace, const struct iovec *parts, int count)
{
	trace->record.bytes_in += parts_bytes(parts, count);
}

void trace_set_route(struct trace *trace, const struct route *route)
{
	trace->record.service = str_of(route->service->name);
	trace->record.route = route->path;
}

/* ---- Tries --------------------------------------------------------------------------------------- */

/* The member may be gone before the exchange ends: its name is copied. */
static struct str trace_keep_name(struct trace *trace, const char *name)
{
	size_t bytes = strlen(name), left = sizeof(trace->names) - trace->names_used;
	struct str kept = {trace->names + trace->names_used, bytes < left ? bytes : left};
	memcpy(trace->names + trace->names_used, name, kept.bytes);
	trace->names_used += kept.bytes;
	return kept;
}

void trace_try_begins(const struct attempt *attempt)
{
	const struct exchange *exchange = attempt->exchange;
	bool is_hedge = attempt != &exchange->attempt;
	struct trace *trace = exchange->trace;
	struct access_record *record = &trace->record;
	if (record->try_count == ARRAY_SIZE(trace->tries))
		return;
	if (exchange->service->roster.is_panicking)
		trace_note(trace, ACCESS_NOTE_PANIC);
	if (is_hedge)
		trace_note(trace, ACCESS_NOTE_HEDGED);
	uint64_t now_us = trace_now_us(exchange);
	trace->attempts[record->try_count] = attempt;
	trace->tries[record->try_count++] =
		(struct access_try){.endpoint = trace_keep_name(trace, attempt->member->backend->name),
			.evidence = "none",
			.begun_us = now_us,
			.ended_us = now_us,
			.is_hedge = is_hedge};
}

/* The open try of an attempt, or NULL. */
static struct access_try *trace_find(struct trace *trace, const struct attempt *attempt)
{
	for (size_t i = trace->record.try_count; i > 0; i--)
		if (trace->attempts[i - 1] == attempt)
			return &trace->tries[i - 1];
	return NULL;
}

void trace_try_ends(const struct attempt *attempt, enum evidence evidence)
{
	struct trace *trace = attempt->exchange->trace;
	struct access_try *try = trace_find(trace, attempt);
	if (try == NULL)
		return;
	try->evidence = evidence_row(evidence)->code;
	try->ended_us = trace_now_us(attempt->exchange);
	trace->attempts[try - trace->tries] = NULL;
}

void trace_try_passes(const struct attempt *hedge, const struct attempt *attempt)
{
	struct trace *trace = attempt->exchange->trace;
	struct access_try *try = trace_find(trace, hedge);
	if (try != NULL)
		trace->attempts[try - trace->tries] = attempt;
}

void trace_answered(const struct attempt *attempt, int status)
{
	const struct exchange *exchange = attempt->exchange;
	struct access_record *record = &exchange->trace->record;
	const struct access_try *try = trace_find(exchange->trace, attempt);
	record->status = status;
	record->has_head = true;
	record->head_us = trace_now_us(exchange);
	if (try != NULL)
		record->endpoint = try->endpoint;
}

struct str trace_last_endpoint(const struct trace *trace)
{
	size_t count = trace->record.try_count;
	return count > 0 ? trace->tries[count - 1].endpoint : STR("");
}

/* ---- The end ------------------------------------------------------------------------------------- */

void trace_end(struct exchange *exchange, enum problem problem, uint64_t bytes_out)
{
	struct trace *trace = exchange->trace;
	struct access_record *record = &trace->record;
	if (!access_log_is_on(exchange->shared->access))
		return;
	record->duration_us = trace_now_us(exchange);
	if (exchange->is_retry_denied)
		trace_note(trace, ACCESS_NOTE_RETRY_DENIED);
	if (exchange->pause_count > 0)
		trace_note(trace, ACCESS_NOTE_PAUSED);
	record->bytes_out = bytes_out - trace->sent_before;
	if (problem != PROBLEM_NONE)
		record->problem = problem;
	if (record->status == 0)
		record->status = problem_row(problem)->status;
	else if (problem != PROBLEM_NONE && record->status != 101)
		trace_note(trace, ACCESS_NOTE_CUT);
	access_log_write(exchange->shared->access, record);
}

void trace_refused(const struct exchange_shared *shared, const struct downstream *client,
	const struct http_head *head, enum problem problem, uint64_t bytes_out)
{
	char address[NETWORK_TEXT_MAX];
	struct access_record record = {.client = downstream_address(client, address),
		.status = problem_row(problem)->status,
		.problem = problem,
		.bytes_out = bytes_out};
	if (!access_log_is_on(shared->access))
		return;
	if (head != NULL) {
		record.method = http_text(head, head->method_name);
		record.path = http_text(head, head->target);
		record.bytes_in = head->bytes;
		if (head->bytes > 0)
			record.host = http_text(head, head->authority);
	}
	access_log_write(shared->access, &record);
}
