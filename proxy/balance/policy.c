/* policy - the table of policies. */
#include "balance/policy.h"

#include <string.h>

static const struct policy *const policies[] = {
	&policy_random,
	&policy_least_requests,
	&policy_round_robin,
	&policy_peak_ewma,
	&policy_ring_hash,
};

const struct policy *policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		if (strcmp(policies[i]->name, name) == 0)
			return policies[i];
	return NULL;
}
