/* census - who is listed, who serves on, who has departed (see census.h). */
#include "checker/census.h"

#include "base/log.h"
#include "health/belief.h"

#include <stdlib.h>
#include <string.h>

void census_init(struct census *census, const char *service, uint32_t vanish_share,
	const struct census_events *events, void *owner)
{
	*census = (struct census){
		.events = events, .owner = owner, .service = service, .vanish_share = vanish_share};
}

static void census_free_ward(struct census *census, struct ward *ward, bool is_ousted)
{
	census->places[ward->place]--;
	census->events->on_freed(census->owner, ward, is_ousted);
	backend_unref(&ward->backend);
	free(ward);
}

void census_finish(struct census *census)
{
	for (size_t i = 0; i < census->count; i++)
		census_free_ward(census, census->wards[i], false);
	free(census->wards);
	census->wards = NULL;
	census->count = 0;
	fleet_unref(&census->listed);
	flapping_finish(&census->flapping);
}

static void ward_move(struct ward *ward, enum ward_place place)
{
	ward->census->places[ward->place]--;
	ward->census->places[place]++;
	ward->place = place;
}

/* ---- Merging what is listed with what is known ----------------------------------------------- */

/* Both are sorted by name: one step of a walk over both. `known` or `entry` or both are set: those of the
 * lowest name. */
struct census_step {
	struct ward *known;
	const struct fleet_entry *entry;
};

struct census_walk {
	const struct census *census;
	const struct fleet *fleet;
	size_t ward_at, entry_at;
};

/* Most stay from set to set: names are only compared where the sets differ. */
static int census_order(const struct ward *ward, const struct fleet_entry *entry)
{
	return ward->backend == entry->backend ? 0 : strcmp(ward->backend->name, entry->backend->name);
}

static bool census_walk_on(struct census_walk *walk, struct census_step *step)
{
	bool has_ward = walk->ward_at < walk->census->count, has_entry = walk->entry_at < walk->fleet->count;
	*step = (struct census_step){0};
	if (!has_ward && !has_entry)
		return false;
	int order = !has_ward	 ? 1
		    : !has_entry ? -1
				 : census_order(walk->census->wards[walk->ward_at],
					   &walk->fleet->entries[walk->entry_at]);
	if (order <= 0)
		step->known = walk->census->wards[walk->ward_at++];
	if (order >= 0)
		step->entry = &walk->fleet->entries[walk->entry_at++];
	return true;
}

static bool step_is_new(const struct census_step *step)
{
	return step->entry != NULL && (step->known == NULL || step->known->backend != step->entry->backend);
}

/* The newcomers, in order, made before anything is changed: there may be no memory. */
static struct ward **census_make_wards(struct census *census, const struct fleet *fleet, size_t *count)
{
	struct ward **made = malloc((fleet->count + 1) * sizeof(struct ward *));
	struct census_walk walk = {.census = census, .fleet = fleet};
	struct census_step step;
	*count = 0;
	while (made != NULL && census_walk_on(&walk, &step)) {
		if (!step_is_new(&step))
			continue;
		struct ward *ward = calloc(1, sizeof(*ward));
		if (ward == NULL) {
			while (*count > 0)
				free(made[--*count]);
			free(made);
			return NULL;
		}
		ward->census = census;
		made[(*count)++] = ward;
	}
	return made;
}

/* ---- Departures ------------------------------------------------------------------------------ */

/* Is it one that took requests? That those are gone which do not work is what everybody expects. */
static bool ward_is_in_use(const struct ward *ward)
{
	enum belief_state state = belief_state(&ward->backend->belief);
	return state == BELIEF_LIVE || state == BELIEF_UNLISTED;
}

/* Does it count among those that departed? Who did not work when it went does not. */
static bool ward_counts(const struct ward *ward)
{
	return ward->place == WARD_LISTED ? ward_is_in_use(ward) : ward->was_in_use;
}

static int compare_names(const void *name, const void *refused)
{
	return strcmp(name, *(char *const *)refused);
}

/* It is listed, but must not be connected to: whatever is believed of the registry. */
static bool ward_is_refused(const struct ward *ward, const struct fleet *fleet)
{
	return fleet->refused_count > 0 && bsearch(ward->backend->name, fleet->refused, fleet->refused_count,
						   sizeof(fleet->refused[0]), compare_names) != NULL;
}

/* How many of those that are listed take requests? */
static size_t census_working(const struct census *census)
{
	size_t working = 0;
	for (size_t i = 0; i < census->count; i++)
		working += census->wards[i]->place == WARD_LISTED && ward_is_in_use(census->wards[i]);
	return working;
}

static size_t max_of(size_t one, size_t other)
{
	return one > other ? one : other;
}

/* How many there were at a time, at most, within the window: a note for each second in which the set changed.
 */
static struct census_peak census_peak(struct census *census, uint64_t now_ms)
{
	const struct fleet *listed = census->listed;
	bool is_subset = listed != NULL && listed->passed_count > 0;
	struct census_peak peak = {.second = now_ms / 1000,
		.count = census_working(census),
		.registered = is_subset ? listed->count + listed->passed_count : 0};
	struct census_peak *note = &census->peaks[peak.second % CENSUS_PEAKS];
	if (note->second != peak.second)
		*note = (struct census_peak){.second = peak.second};
	note->count = max_of(note->count, peak.count);
	note->registered = max_of(note->registered, peak.registered);
	for (size_t i = 0; i < CENSUS_PEAKS; i++) {
		if (peak.second - census->peaks[i].second >= CENSUS_PEAKS)
			continue;
		peak.count = max_of(peak.count, census->peaks[i].count);
		peak.registered = max_of(peak.registered, census->peaks[i].registered);
	}
	return peak;
}

/* Are too many gone at a time? It is how much smaller the set is than it was, not how many have come and
 * gone, and not those that did not work. Who is passed over for a subset is not gone; of those the registry
 * tells how many there are, and as many are to be left of them. */
static bool census_is_too_much(const struct census *census, const struct fleet *fleet)
{
	struct census_walk walk = {.census = census, .fleet = fleet};
	struct census_step step;
	size_t departed = 0, before = census->trusted_count;
	size_t registered = fleet->count + fleet->passed_count;
	size_t missing = registered < before ? before - registered : 0;
	while (census_walk_on(&walk, &step))
		departed +=
			step.entry == NULL && ward_counts(step.known) && !ward_is_refused(step.known, fleet);
	if (missing > departed)
		missing = departed;
	size_t registered_before = census->trusted_registered;
	size_t unregistered = registered < registered_before ? registered_before - registered : 0;
	return census->vanish_share < 100 &&
	       (missing * 100 > census->vanish_share * before ||
		       unregistered * 100 > census->vanish_share * registered_before);
}

static void census_depart(struct census *census, struct ward *ward, bool is_too_much, uint64_t now_ms)
{
	ward->departed_ms = now_ms;
	ward->was_in_use = ward_is_in_use(ward);
	flapping_went(&census->flapping, ward->backend->name, now_ms);
	if (is_too_much && ward->was_in_use) {
		ward_move(ward, WARD_UNLISTED);
		census->events->on_vanished(census->owner, ward);
		return;
	}
	ward_move(ward, WARD_DEPARTED);
	census->events->on_departed(census->owner, ward);
}

/* ---- Taking on ------------------------------------------------------------------------------- */

static void census_add(
	struct census *census, struct ward *ward, const struct fleet_entry *entry, uint64_t now_ms)
{
	uint32_t goings = 0;
	ward->backend = backend_ref(entry->backend);
	ward->place = WARD_LISTED;
	ward->weight = entry->weight;
	census->places[WARD_LISTED]++;
	ward->wait_ms = flapping_wait_ms(&census->flapping, entry->backend->name, now_ms, &goings);
	if (ward->wait_ms > 0) {
		/* Who does so all the time was warned of often enough: the metric goes on. */
		log_event(goings < FLAPPING_REMEMBERED ? LOG_WARNING : LOG_DEBUG, "backend comes and goes",
			LOG_TEXT("service", census->service), LOG_TEXT("endpoint", entry->backend->name),
			LOG_INT("times", goings), LOG_INT("within_ms", FLAPPING_WINDOW_MS),
			LOG_INT("waits_ms", ward->wait_ms));
	}
	census->events->on_added(census->owner, ward);
}

/* Returns the ward that stands for this name from now on; NULL: none. */
static struct ward *census_apply(struct census *census, const struct census_step *step, struct ward *newcomer,
	bool is_too_much, uint64_t now_ms)
{
	if (step->entry == NULL && ward_is_refused(step->known, census->listed)) {
		census_free_ward(census, step->known, true);
		return NULL;
	}
	if (newcomer != NULL) {
		if (step->known != NULL)
			census_free_ward(census, step->known, true);
		census_add(census, newcomer, step->entry, now_ms);
		return newcomer;
	}
	if (step->entry != NULL) {
		step->known->weight = step->entry->weight;
		if (step->known->place != WARD_LISTED)
			ward_move(step->known, WARD_LISTED);
	} else if (step->known->place == WARD_LISTED) {
		census_depart(census, step->known, is_too_much, now_ms);
	}
	return step->known;
}

/* Those that departed before, when it was believed, and those that were not in use: do they answer? */
static void census_look_for_missed(struct census *census)
{
	for (size_t i = 0; i < census->count; i++)
		if (census->wards[i]->place == WARD_DEPARTED)
			census->events->on_missed(census->owner, census->wards[i]);
}

bool census_take(struct census *census, struct fleet *fleet, uint64_t now_ms)
{
	size_t made_count = 0, count = 0, at = 0;
	struct ward **made = census_make_wards(census, fleet, &made_count);
	struct ward **wards = malloc((census->count + fleet->count + 1) * sizeof(struct ward *));
	if (made == NULL || wards == NULL) {
		while (made != NULL && made_count > 0)
			free(made[--made_count]);
		free(made);
		free(wards);
		return false;
	}
	struct census_peak peak = census_peak(census, now_ms);
	bool is_distrusting = census_is_distrusting(census);
	census->trusted_count = is_distrusting ? max_of(census->trusted_count, peak.count) : peak.count;
	census->trusted_registered =
		is_distrusting ? max_of(census->trusted_registered, peak.registered) : peak.registered;
	bool is_too_much = census_is_too_much(census, fleet);
	struct fleet *before = census->listed;
	census->listed = fleet_ref(fleet);
	struct census_walk walk = {.census = census, .fleet = fleet};
	struct census_step step;
	while (census_walk_on(&walk, &step)) {
		struct ward *newcomer = step_is_new(&step) ? made[at++] : NULL;
		wards[count] = census_apply(census, &step, newcomer, is_too_much, now_ms);
		count += wards[count] != NULL;
	}
	free(census->wards);
	free(made);
	fleet_unref(&before);
	census->wards = wards;
	census->count = count;
	if (is_too_much && census_is_distrusting(census))
		census_look_for_missed(census);
	return true;
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static void census_remove(struct census *census, size_t index)
{
	struct ward *ward = census->wards[index];
	census->count--;
	memmove(&census->wards[index], &census->wards[index + 1],
		(census->count - index) * sizeof(census->wards[0]));
	census_free_ward(census, ward, false);
}

void census_age(struct census *census, uint64_t now_ms)
{
	flapping_age(&census->flapping, now_ms);
	for (size_t i = census->count; i > 0 && census->places[WARD_DEPARTED] > 0; i--) {
		struct ward *ward = census->wards[i - 1];
		if (ward->place == WARD_DEPARTED && now_ms - ward->departed_ms >= CENSUS_WINDOW_MS)
			census_remove(census, i - 1);
	}
}

bool census_recall(struct census *census, struct ward *ward)
{
	if (ward->place != WARD_DEPARTED || !census_is_distrusting(census))
		return false;
	ward_move(ward, WARD_UNLISTED);
	census->events->on_vanished(census->owner, ward);
	return true;
}

bool census_is_replaced(const struct census *census)
{
	size_t registered = census->places[WARD_LISTED] + census->listed->passed_count;
	return registered >= census->trusted_registered &&
	       census->places[WARD_LISTED] >= census->trusted_count &&
	       census_working(census) >= census->trusted_count;
}

static size_t census_index(const struct census *census, const struct backend *backend)
{
	size_t low = 0, high = census->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(census->wards[middle]->backend->name, backend->name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct ward *census_find(const struct census *census, const struct backend *backend)
{
	size_t index = census_index(census, backend);
	return index < census->count && census->wards[index]->backend == backend ? census->wards[index]
										 : NULL;
}

void census_drop(struct census *census, struct ward *ward)
{
	size_t index = census_index(census, ward->backend);
	assert(index < census->count && census->wards[index] == ward && ward->place != WARD_LISTED);
	census_remove(census, index);
}

struct fleet *census_fleet(const struct census *census)
{
	if (census->places[WARD_UNLISTED] == 0)
		return fleet_ref(census->listed);
	const struct fleet *listed = census->listed;
	struct fleet *fleet = fleet_new(listed->service, listed->version, listed->taken_ms,
		listed->count + census->places[WARD_UNLISTED]);
	if (fleet == NULL)
		return NULL;
	if (listed->snapshot != NULL)
		fleet_hold(fleet, listed->snapshot);
	struct census_walk walk = {.census = census, .fleet = listed};
	struct census_step step;
	while (census_walk_on(&walk, &step)) {
		if (step.entry != NULL)
			fleet_append(fleet, step.entry->backend, step.entry->weight, step.entry->endpoint);
		else if (step.known->place == WARD_UNLISTED)
			fleet_append(fleet, step.known->backend, step.known->weight, NULL);
	}
	for (size_t i = 0; i < listed->refused_count; i++)
		if (!fleet_refuse(fleet, listed->refused[i])) {
			fleet_unref(&fleet);
			return NULL;
		}
	return fleet;
}
