/* candidates - which members of a roster may be chosen now, what they weigh, and what the policy keeps of
 * them. A change of one member is followed without looking at the others, so that a set may have thousands. A
 * part of the roster: owns nothing. */
#ifndef BALANCE_CANDIDATES_H
#define BALANCE_CANDIDATES_H

#include "balance/roster.h"

/* So many verdicts are followed one by one; after more, everybody is looked at. */
#define CANDIDATES_FEW 8

/* Look at every member, and choose the candidates anew. Their arrays have room for all. */
void candidates_refresh(struct roster *roster);

/* Follow the verdicts that have come since. */
void candidates_follow(struct roster *roster);

/* One has come into the set, or is about to leave it, or weighs something else there. Where it stands among
 * all is the roster's business; candidates_settle() comes after the last of them. */
void candidates_add(struct roster *roster, struct member *member);
void candidates_remove(struct roster *roster, struct member *member);
void candidates_set_weight(struct roster *roster, struct member *member, uint32_t set_weight);
void candidates_settle(struct roster *roster);

/* Those that start slowly weigh more by now. */
void candidates_weigh(struct roster *roster);

/* It has just become live, or come so: the policy may want to give it the next request. */
void candidates_welcome(struct roster *roster, struct member *member);

#endif
