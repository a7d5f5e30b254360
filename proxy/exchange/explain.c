/* explain - writes Srsd-Explain (see explain.h). */
#include "exchange/explain.h"

#include "base/clock.h"
#include "exchange/asker.h"
#include "http/writer.h"

#include <stdlib.h>

/* Backends that are told of one by one; the rest are counted. */
#define EXPLAIN_MEMBERS_MAX 32

/* All lines together: so many members with names as long as most are, and the tries. A line that does not fit
 * is left out. */
#define EXPLAIN_BYTES 16384

struct explanation {
	size_t choice_bytes; /* what explain_choice() wrote */
	char text[EXPLAIN_BYTES];
};

/* ---- Lines ----------------------------------------------------------------------------------- */

#define EXPLAIN_NAME "Srsd-Explain: "

/* A line of its own; it is taken back if it does not fit. */
static char *line_begin(struct writer *out, struct str item)
{
	char *start = out->at;
	PUT_LITERAL(out, EXPLAIN_NAME);
	put_text(out, item);
	return start;
}

static void line_end(struct writer *out, char *start)
{
	PUT_LITERAL(out, "\r\n");
	if (out->is_full)
		out->at = start;
	out->is_full = false;
}

static void put_key(struct writer *out, struct str key)
{
	PUT_LITERAL(out, ";");
	put_text(out, key);
	PUT_LITERAL(out, "=");
}

static void put_count(struct writer *out, struct str key, uint64_t value)
{
	put_key(out, key);
	put_integer(out, value);
}

/* A word of ours: a Token of RFC 8941. */
static void put_word(struct writer *out, struct str key, const char *word)
{
	put_key(out, key);
	put_text(out, str_of(word));
}

static void put_name(struct writer *out, struct str key, struct str name)
{
	put_key(out, key);
	put_string(out, name);
}

/* ---- The choice ------------------------------------------------------------------------------ */

static const char *why(
	const struct exchange *exchange, const struct member *member, const struct member *chosen)
{
	if (member == chosen)
		return "chosen";
	if (member->set_weight == 0)
		return "weight_0";
	if (exchange_has_tried(exchange, member))
		return "tried";
	if (!member->is_candidate)
		return "not_in_rotation"; /* its state and the reason of that say why */
	return "others_were_better";	  /* or drawn: the policy knows no more */
}

static void put_member(struct writer *out, const struct exchange *exchange, const struct member *member,
	const struct member *chosen)
{
	const struct belief *belief = &member->backend->belief;
	uint64_t word = atomic_load_explicit(&belief->word, memory_order_acquire);
	uint64_t since_ms = word >> BELIEF_WORD_SINCE, now_ms = clock_coarse_ms();
	enum evidence reason = belief_word_reason(word);
	uint64_t penalty =
		penalty_at(&member->penalty, now_ms, exchange->service->roster.view.penalty_half_ms);
	char *start = line_begin(out, STR("backend"));
	put_name(out, STR("endpoint"), str_of(member->backend->name));
	put_word(out, STR("why"), why(exchange, member, chosen));
	put_word(out, STR("state"), belief_state_text(belief_word_state(word)));
	if (reason != EVIDENCE_NONE)
		put_word(out, STR("reason"), evidence_row(reason)->code);
	put_count(out, STR("for_ms"), now_ms > since_ms ? now_ms - since_ms : 0);
	put_count(out, STR("weight"), member->set_weight);
	if (roster_warmth(&exchange->service->roster, member) < 100)
		put_count(out, STR("warm_percent"), roster_warmth(&exchange->service->roster, member));
	put_count(out, STR("in_flight"), member->in_flight - (member == chosen));
	if (penalty > 0)
		put_count(out, STR("penalty"), penalty);
	if (member->latency.smoothed_8 > 0)
		put_count(out, STR("latency_us"), member->latency.smoothed_8 / 8);
	if (member->late_ms > 0)
		put_count(out, STR("late_ms"), member->late_ms);
	line_end(out, start);
}

static void put_service(struct writer *out, const struct exchange *exchange)
{
	const struct roster *roster = &exchange->service->roster;
	char *start = line_begin(out, STR("service"));
	put_name(out, STR("name"), str_of(exchange->service->name));
	put_word(out, STR("policy"), roster->policy->name);
	put_count(out, STR("worker"), roster->worker);
	if (roster->is_known) {
		put_count(out, STR("version"), roster->version);
		put_count(out, STR("age_ms"), clock_coarse_ms() - roster->taken_ms);
	}
	put_count(out, STR("backends"), roster->count);
	put_count(out, STR("candidates"), roster->candidate_count);
	if (roster->is_panicking)
		PUT_LITERAL(out, ";panic");
	line_end(out, start);
}

void explain_choice(const struct exchange *exchange, const struct member *chosen)
{
	struct explanation *explanation = exchange->trace->explanation;
	struct writer out = {.at = explanation->text, .end = explanation->text + sizeof(explanation->text)};
	const struct roster *roster = &exchange->service->roster;
	size_t told = 0;
	put_service(&out, exchange);
	if (chosen != NULL) {
		put_member(&out, exchange, chosen, chosen);
		told++;
	}
	for (size_t i = 0; i < roster->count && told < EXPLAIN_MEMBERS_MAX; i++) {
		if (roster->members[i] == chosen)
			continue;
		put_member(&out, exchange, roster->members[i], chosen);
		told++;
	}
	if (told < roster->count) {
		char *start = line_begin(&out, STR("others"));
		put_count(&out, STR("count"), roster->count - told);
		line_end(&out, start);
	}
	explanation->choice_bytes = (size_t)(out.at - explanation->text);
}

/* ---- All of it ------------------------------------------------------------------------------- */

bool explain_is_allowed(const struct exchange *exchange, const struct http_head *head)
{
	const struct exchange_shared *shared = exchange->shared;
	struct network asker;
	return shared->explain_count > 0 && asker_find(exchange->client, head, &asker) &&
	       networks_have(shared->explain_networks, shared->explain_count, &asker);
}

void explain_begin(struct exchange *exchange)
{
	struct explanation *explanation = malloc(sizeof(*explanation));
	if (explanation != NULL)
		explanation->choice_bytes = 0;
	exchange->trace->explanation = explanation;
}

/* The one that answers is under way still. */
static void put_try(struct writer *out, const struct trace *trace, size_t index)
{
	const struct access_try *try = &trace->tries[index];
	bool is_over = trace->attempts[index] == NULL;
	char *start = line_begin(out, STR("try"));
	put_name(out, STR("endpoint"), try->endpoint);
	put_word(out, STR("evidence"), is_over ? try->evidence : "under_way");
	put_count(out, STR("begun_us"), try->begun_us);
	if (is_over)
		put_count(out, STR("ended_us"), try->ended_us);
	if (try->is_hedge)
		PUT_LITERAL(out, ";hedge");
	line_end(out, start);
}

struct str explain_fields(struct exchange *exchange)
{
	const struct trace *trace = exchange->trace;
	if (LIKELY(trace == NULL) || trace->explanation == NULL)
		return STR("");
	struct explanation *explanation = trace->explanation;
	if (trace->record.try_count == 0 && exchange->service != NULL)
		explain_choice(exchange, NULL);
	struct writer out = {.at = explanation->text + explanation->choice_bytes,
		.end = explanation->text + sizeof(explanation->text)};
	for (size_t i = 0; i < trace->record.try_count; i++)
		put_try(&out, trace, i);
	return (struct str){explanation->text, (size_t)(out.at - explanation->text)};
}
