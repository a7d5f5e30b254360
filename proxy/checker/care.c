/* care - what is asked of a service's endpoints, and what follows (see care.h). */
#include "checker/care.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

/* ---- When to look ---------------------------------------------------------------------------- */

static bool care_asks(const struct care *care)
{
	return care->settings->probe != PROBE_SETTING_OFF;
}

static void care_look_in(struct ward *ward, uint64_t wait_ms, uint64_t now_ms)
{
	rounds_look_at(ward, now_ms + pacing_jitter_ms(wait_ms, &ward->rounds->loop->random));
}

static void care_look_when_over(struct ward *ward, uint64_t now_ms)
{
	uint64_t until_ms = atomic_load_explicit(&ward->backend->belief.until_ms, memory_order_acquire);
	care_look_in(ward, until_ms > now_ms ? until_ms - now_ms : 0, now_ms);
}

/* Of one that the registry lists, and of which it was just learned what is believed of it now. */
static void care_plan_listed(struct care *care, struct ward *ward, uint64_t now_ms)
{
	switch (belief_state(&ward->backend->belief)) {
	case BELIEF_LIVE:
		if (care->settings->interval_ms > 0 && care_asks(care))
			care_look_in(ward, care->settings->interval_ms, now_ms);
		break;
	case BELIEF_EJECTED:
		care_look_when_over(ward, now_ms);
		break;
	case BELIEF_NEW:
	case BELIEF_SUSPECT:
	case BELIEF_PROBING:
		rounds_look(ward, PACING_URGENT);
		break;
	default:
		break;
	}
}

static void care_plan(struct care *care, struct ward *ward, uint64_t now_ms)
{
	if (ward->place == WARD_LISTED)
		care_plan_listed(care, ward, now_ms);
	else if (ward->place == WARD_UNLISTED && care_asks(care))
		care_look_in(ward, CARE_UNLISTED_MS, now_ms);
}

/* ---- What the census says -------------------------------------------------------------------- */

static void care_on_added(void *owner, struct ward *ward)
{
	struct care *care = owner;
	uint64_t now_ms = clock_coarse_ms();
	care->is_changed = true;
	rounds_add(care->rounds, ward);
	if (ward->wait_ms == 0) {
		care_plan(care, ward, now_ms);
		return;
	}
	atomic_fetch_add_explicit(&care->verdicts->flapped, 1, memory_order_relaxed);
	rounds_look_at(ward, now_ms + ward->wait_ms);
}

static void care_on_departed(void *owner, struct ward *ward)
{
	struct care *care = owner;
	uint64_t now_ms = clock_coarse_ms();
	care->is_changed = true;
	rounds_leave(ward);
	belief_weigh(&ward->backend->belief, EVIDENCE_REMOVED, now_ms, now_ms);
}

static void care_on_vanished(void *owner, struct ward *ward)
{
	struct care *care = owner;
	uint64_t now_ms = clock_coarse_ms();
	care->is_changed = true;
	ward->failures = 0;
	belief_weigh(&ward->backend->belief, EVIDENCE_VANISHED, now_ms, now_ms);
	if (care_asks(care))
		rounds_look(ward, PACING_URGENT);
}

static void care_on_missed(void *owner, struct ward *ward)
{
	struct care *care = owner;
	if (care_asks(care))
		rounds_look(ward, PACING_URGENT);
}

static void care_on_freed(void *owner, struct ward *ward, bool is_ousted)
{
	uint64_t now_ms = clock_coarse_ms();
	(void)owner;
	rounds_leave(ward);
	if (is_ousted)
		belief_weigh(&ward->backend->belief, EVIDENCE_REMOVED, now_ms, now_ms);
}

static const struct census_events care_census_events = {
	.on_added = care_on_added,
	.on_departed = care_on_departed,
	.on_vanished = care_on_vanished,
	.on_missed = care_on_missed,
	.on_freed = care_on_freed,
};

/* ---- Distrust -------------------------------------------------------------------------------- */

static void care_log_distrust(
	const struct care *care, enum log_level level, const char *event, const char *text)
{
	log_event(level, event, LOG_TEXT("service", care->service),
		LOG_INT("unlisted", care->census.places[WARD_UNLISTED]),
		LOG_INT("listed", care->census.places[WARD_LISTED]), LOG_TEXT("reason", text));
}

/* Tell of it when the registry begins to be distrusted, when that lasts, and when it ends. */
static void care_tell(struct care *care, uint64_t now_ms)
{
	bool is_distrusting = census_is_distrusting(&care->census);
	if (is_distrusting && !care->is_distrusting) {
		care->distrusting_ms = now_ms;
		care_log_distrust(care, LOG_WARNING, "registrations vanished",
			"more than vanish_share of the set at a time: not believed while the backends "
			"answer");
	} else if (!is_distrusting && care->is_distrusting) {
		care_log_distrust(care, LOG_INFO, "registry is believed again",
			"every backend that answers is registered, as many as before are, or those that were "
			"not are gone");
		care->is_alarmed = false;
	} else if (is_distrusting && !care->is_alarmed && now_ms - care->distrusting_ms >= CARE_ALARM_MS) {
		care_log_distrust(care, LOG_ERROR, "backends answer that are not registered",
			"look at ZooKeeper and at how they register; if they were taken out on purpose, stop "
			"them");
		care->is_alarmed = true;
	}
	care->is_distrusting = is_distrusting;
}

/* Those that are unlisted, and for too long, or replaced, or of which traffic showed that nobody is there. */
static void care_drop_unlisted(struct care *care, uint64_t now_ms)
{
	struct census *census = &care->census;
	bool is_replaced = census_is_distrusting(census) && census_is_replaced(census);
	for (size_t i = census->count; i > 0 && census_is_distrusting(census); i--) {
		struct ward *ward = census->wards[i - 1];
		struct belief *belief = &ward->backend->belief;
		if (ward->place != WARD_UNLISTED)
			continue;
		if (now_ms - ward->departed_ms >= care->settings->vanish_hold_ms)
			belief_weigh(belief, EVIDENCE_UNLISTED_TOO_LONG, now_ms, now_ms);
		else if (is_replaced)
			belief_weigh(belief, EVIDENCE_REMOVED, now_ms, now_ms);
		if (belief_state(belief) != BELIEF_LEAVING)
			continue;
		care->is_changed = true;
		census_drop(census, ward);
	}
}

/* ---- What the checker says ------------------------------------------------------------------- */

void care_init(struct care *care, const char *service, const struct health_settings *settings,
	struct verdicts *verdicts, struct rounds *rounds)
{
	*care = (struct care){
		.service = service, .settings = settings, .verdicts = verdicts, .rounds = rounds};
	census_init(&care->census, service, (uint32_t)settings->vanish_share, &care_census_events, care);
}

void care_finish(struct care *care)
{
	census_finish(&care->census);
	fleet_unref(&care->behind);
	for (size_t i = 0; i < care->sent_count; i++)
		fleet_unref(&care->sent[i]);
}

/* Those that nobody else holds any more go. */
static void care_release_sent(struct care *care)
{
	size_t count = 0;
	for (size_t i = 0; i < care->sent_count; i++) {
		if (fleet_is_shared(care->sent[i]))
			care->sent[count++] = care->sent[i];
		else
			fleet_unref(&care->sent[i]);
	}
	care->sent_count = count;
}

void care_hold_sent(struct care *care, struct fleet *fleet)
{
	care_release_sent(care);
	if (care->sent_count == CARE_SENT) {
		fleet_unref(&care->sent[0]);
		memmove(&care->sent[0], &care->sent[1], --care->sent_count * sizeof(care->sent[0]));
	}
	care->sent[care->sent_count++] = fleet;
}

void care_take(struct care *care, struct fleet *fleet, uint64_t now_ms)
{
	if (care->behind != fleet)
		fleet_unref(&care->behind);
	if (!census_take(&care->census, fleet, now_ms)) {
		log_event(LOG_ERROR, "newer set of backends not taken on: no memory, trying again",
			LOG_TEXT("service", care->service));
		care->behind = fleet;
		return;
	}
	care->behind = NULL;
	care->is_changed = true;
	care_tell(care, now_ms);
	fleet_unref(&fleet);
}

/* A hint about one that is live is followed at once; all else goes by what is believed now. */
static void care_doubt_ward(struct care *care, struct ward *ward, uint64_t now_ms)
{
	enum belief_state state = belief_state(&ward->backend->belief);
	if (ward->place == WARD_UNLISTED && state == BELIEF_LEAVING) {
		care->is_changed = true;
		census_drop(&care->census, ward);
	} else if (ward->place == WARD_UNLISTED || (ward->place == WARD_LISTED && state == BELIEF_LIVE)) {
		if (care_asks(care))
			rounds_look(ward, PACING_URGENT);
	} else {
		care_plan(care, ward, now_ms);
	}
}

void care_doubt(struct care *care, const struct backend *backend, uint64_t now_ms)
{
	struct ward *ward = census_find(&care->census, backend);
	if (ward != NULL)
		care_doubt_ward(care, ward, now_ms);
	care_tell(care, now_ms);
}

void care_doubt_all(struct care *care, uint64_t now_ms)
{
	for (size_t i = care->census.count; i > 0; i--)
		care_doubt_ward(care, care->census.wards[i - 1], now_ms);
	care_tell(care, now_ms);
}

void care_tick(struct care *care, uint64_t now_ms)
{
	if (care->behind != NULL)
		care_take(care, care->behind, now_ms);
	care_release_sent(care);
	census_age(&care->census, now_ms);
	care_drop_unlisted(care, now_ms);
	care_tell(care, now_ms);
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* Where nothing is asked, time alone lets in. */
static bool care_let_in(struct care *care, struct ward *ward, uint64_t now_ms)
{
	belief_weigh(&ward->backend->belief, EVIDENCE_NOT_PROBED, now_ms, now_ms);
	care_plan(care, ward, now_ms);
	return false;
}

/* Far longer than what would be late of a request: a probe is the last chance. */
static uint64_t care_timeout_ms(const struct care *care)
{
	uint64_t late_us = atomic_load_explicit(&care->verdicts->late_us, memory_order_relaxed);
	uint64_t most_ms = care->settings->timeout_ms;
	uint64_t wait_ms = late_us / 1000 * CARE_TIMEOUT_OF_LATE;
	if (late_us == 0)
		return most_ms;
	if (wait_ms < CARE_TIMEOUT_LEAST_MS)
		wait_ms = CARE_TIMEOUT_LEAST_MS;
	return wait_ms < most_ms ? wait_ms : most_ms;
}

bool care_on_turn(struct ward *ward, struct probe_plan *plan, uint64_t now_ms)
{
	struct care *care = care_of(ward);
	struct belief *belief = &ward->backend->belief;
	bool is_request = true;
	if (ward->place == WARD_DEPARTED && !census_is_distrusting(&care->census))
		return false;
	switch (belief_state(belief)) {
	case BELIEF_NEW:
		is_request = false;
		break;
	case BELIEF_LIVE: /* in doubt, that it takes a connection is enough */
		is_request = ward->kind == PACING_REGULAR;
		break;
	case BELIEF_EJECTED:
		if (atomic_load_explicit(&belief->until_ms, memory_order_acquire) > now_ms) {
			care_plan(care, ward, now_ms);
			return false;
		}
		belief_weigh(belief, EVIDENCE_EJECTION_OVER, now_ms, now_ms);
		break;
	default:
		break;
	}
	if (!care_asks(care))
		return care_let_in(care, ward, now_ms);
	plan->path = is_request && care->settings->probe == PROBE_SETTING_HTTP ? care->settings->path : NULL;
	plan->timeout_ms = care_timeout_ms(care);
	return true;
}

static void care_count(struct care *care, enum evidence evidence)
{
	atomic_fetch_add_explicit(&care->verdicts->probes[evidence], 1, memory_order_relaxed);
}

/* Of one that the registry does not list any more. It may be gone then. */
static void care_judge_departed(struct care *care, struct ward *ward, enum evidence evidence)
{
	if (evidence != EVIDENCE_PROBE_PASSED)
		census_drop(&care->census, ward);
	else if (census_recall(&care->census, ward))
		ward->failures = 0;
}

static void care_judge_unlisted(struct care *care, struct ward *ward, enum evidence evidence, uint64_t now_ms)
{
	struct belief *belief = &ward->backend->belief;
	bool is_gone = evidence_row(evidence)->kind == EVIDENCE_KIND_GONE;
	ward->failures = evidence == EVIDENCE_PROBE_PASSED ? 0 : ward->failures + 1;
	if (ward->failures == 0 || is_gone || ward->failures >= CARE_UNLISTED_FAILURES)
		belief_weigh(belief, evidence, ward->begun_ms, now_ms);
	if (belief_state(belief) != BELIEF_LEAVING) {
		care_plan(care, ward, now_ms);
		return;
	}
	care->is_changed = true;
	census_drop(&care->census, ward);
}

void care_on_probed(struct ward *ward, enum evidence evidence, uint64_t now_ms)
{
	struct care *care = care_of(ward);
	care_count(care, evidence);
	if (evidence == EVIDENCE_NONE) {
		care_look_in(ward, CARE_SHORTAGE_MS, now_ms);
	} else if (ward->place == WARD_DEPARTED) {
		care_judge_departed(care, ward, evidence);
	} else if (ward->place == WARD_UNLISTED) {
		care_judge_unlisted(care, ward, evidence, now_ms);
	} else {
		belief_weigh(&ward->backend->belief, evidence, ward->begun_ms, now_ms);
		care_plan(care, ward, now_ms);
	}
	care_tell(care, now_ms);
}
