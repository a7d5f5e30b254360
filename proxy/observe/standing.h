/* standing - how a service stands with the registry at this moment, beside its set: how old that is, and what
 * the registry has too much of. Written by the registry's thread, read by the admin endpoint; one list makes
 * the field, the metric's labels, its name and its help. */
#ifndef OBSERVE_STANDING_H
#define OBSERVE_STANDING_H

#include <stdatomic.h>
#include <stdint.h>

/* X(field, name, further label, help). Those with one name stand together. */
#define STANDING_GAUGES(X)                                                                                   \
	X(is_from_file, "srsd_proxy_service_from_file", "",                                                  \
		"Is the set that of the state directory, as ZooKeeper was not heard since the start?")       \
	X(is_unreadable, "srsd_proxy_registry_unreadable", "",                                               \
		"Does ZooKeeper answer, but not with the set (no permission, for one)?")                     \
	X(nodes, "srsd_proxy_registry_nodes", "", "Nodes under the service's label at the last reading.")    \
	X(skipped, "srsd_proxy_registry_nodes_skipped", "",                                                  \
		"Nodes among these that cannot be used: no address, or data that says nothing.")             \
	X(children_over, "srsd_proxy_registry_over_limit", ",limit=\"children\"",                            \
		"Is there more than the limit allows: nodes under the label (the last set is kept), or "     \
		"nodes with too long names or too much data (what was known of them is kept)?")              \
	X(names_over, "srsd_proxy_registry_over_limit", ",limit=\"name\"", NULL)                             \
	X(data_over, "srsd_proxy_registry_over_limit", ",limit=\"node_data\"", NULL)

#define STANDING_FIELD(field, name, label, help) _Atomic uint64_t field;

struct standing {
	_Atomic uint64_t is_known;     /* there is a set, and what follows says of it: */
	_Atomic uint64_t confirmed_ms; /* when ZooKeeper held it for certain, CLOCK_MONOTONIC modulo 2^64: it
					  may be before this machine was started */
	STANDING_GAUGES(STANDING_FIELD)
};

#endif
