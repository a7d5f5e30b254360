/* census - the endpoints of one service, as the registry lists them and as the proxy uses them: where that
 * differs. Most of a set that goes within a moment is not believed to be gone: it serves on, unlisted, as
 * long as it answers. Pure: the time is given, and what is to be done is told by a table. Owns the wards. */
#ifndef CHECKER_CENSUS_H
#define CHECKER_CENSUS_H

#include "balance/fleet.h"
#include "checker/flapping.h"
#include "checker/ward.h"

/* Who has departed is remembered for so long: departures within this time belong together. */
#define CENSUS_WINDOW_MS 10000
#define CENSUS_PEAKS	 (CENSUS_WINDOW_MS / 1000)

/* What the holder does about it. All may be called from census_take(); the wards must not be let go there. */
struct census_events {
	/* It is new in the set: look at it. */
	void (*on_added)(void *owner, struct ward *ward);
	/* It is gone, which is believed: it takes no request any more. */
	void (*on_departed)(void *owner, struct ward *ward);
	/* It is gone, with so many that this is not believed: it serves on. */
	void (*on_vanished)(void *owner, struct ward *ward);
	/* It departed before it was known how many would, or was not in use then: look whether it answers,
	 * and census_recall() it. */
	void (*on_missed)(void *owner, struct ward *ward);
	/* It is about to be freed. `is_ousted`: while it was used, as another backend of that name has come,
	 * or because it must not be connected to any more. */
	void (*on_freed)(void *owner, struct ward *ward, bool is_ousted);
};

/* So many worked at a time, at most, in this second; and, where a subset of them is used, so many were
 * registered. */
struct census_peak {
	uint64_t second;
	size_t count, registered;
};

struct census {
	const struct census_events *events;
	void *owner;
	const char *service;
	uint32_t vanish_share; /* percent; if more than that of a set departs it is not believed; 100: always
				  is */
	struct fleet *listed;  /* the newest, or NULL */
	size_t count;
	struct ward **wards; /* sorted by name; one for each name */
	size_t places[WARD_PLACE_COUNT];
	size_t trusted_count;	   /* how many there were that worked; from before, while the registry is not
				      believed */
	size_t trusted_registered; /* the same of those that were registered; 0: all were used */
	struct census_peak peaks[CENSUS_PEAKS];
	struct flapping flapping;
};

void census_init(struct census *census, const char *service, uint32_t vanish_share,
	const struct census_events *events, void *owner);

/* Free it, and tell of each ward. Fine on one that is zero. */
void census_finish(struct census *census);

/* The registry lists this set now. Takes a reference of its own. False: no memory, and nothing was changed;
 * give it again. */
MUST_CHECK bool census_take(struct census *census, struct fleet *fleet, uint64_t now_ms);

/* Forget those that departed too long ago. To be called now and then. */
void census_age(struct census *census, uint64_t now_ms);

/* One that departed answers, while the registry is not believed: it serves on, unlisted. False: nothing
 * follows, it is believed that this one is gone. */
MUST_CHECK bool census_recall(struct census *census, struct ward *ward);

/* One that is unlisted does not answer, or did so for too long: it is gone. One that departed is forgotten.
 * Frees it. */
void census_drop(struct census *census, struct ward *ward);

/* Does the registry list less than is believed in? */
static inline bool census_is_distrusting(const struct census *census)
{
	return census->places[WARD_UNLISTED] > 0;
}

/* Do as many that are listed work now as there were before the others vanished? Then those were replaced. */
bool census_is_replaced(const struct census *census);

/* The ward of this backend, or NULL. */
struct ward *census_find(const struct census *census, const struct backend *backend);

/* The set to be used, with a reference for the caller: what is listed, and who serves on. NULL without
 * memory. */
MUST_CHECK struct fleet *census_fleet(const struct census *census);

#endif
