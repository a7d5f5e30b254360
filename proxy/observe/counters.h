/* counters - what a worker counts, and what the admin endpoint adds up. One list makes the field, the
 * metric's name, its type and its help. A worker writes its own struct only, with plain stores; readers may
 * be any thread. */
#ifndef OBSERVE_COUNTERS_H
#define OBSERVE_COUNTERS_H

#include "balance/backend.h"
#include "http/problem.h"

#include <stdatomic.h>
#include <stdint.h>

/* X(field, type, name, help); names follow Prometheus: counters end in _total. */
#define COUNTERS(X)                                                                                          \
	X(connections_accepted, "counter", "srsd_proxy_client_connections_total",                            \
		"Connections accepted from clients.")                                                        \
	X(connections_refused, "counter", "srsd_proxy_client_connections_refused_total",                     \
		"Connections not served: a limit was reached, or resources were out.")                       \
	X(shortages, "counter", "srsd_proxy_resource_shortages_total",                                       \
		"Connections that could not be accepted or opened at once for want of descriptors or "       \
		"memory.")                                                                                   \
	X(connections_let_go, "counter", "srsd_proxy_idle_connections_let_go_total",                         \
		"Idle connections, of clients and to backends, closed to make room.")                        \
	X(proxy_headers_refused, "counter", "srsd_proxy_proxy_headers_refused_total",                        \
		"Connections closed because their PROXY header was malformed, missing or late.")             \
	X(connections_open, "gauge", "srsd_proxy_client_connections",                                        \
		"Connections from clients that are open.")                                                   \
	X(requests, "counter", "srsd_proxy_requests_total", "Requests received with a well-formed head.")    \
	X(requests_active, "gauge", "srsd_proxy_requests_active", "Requests being served.")                  \
	X(responses_1xx, "counter", "srsd_proxy_informational_responses_total", "1xx responses passed on.")  \
	X(requests_queued, "counter", "srsd_proxy_requests_queued_total",                                    \
		"Requests that had to wait for a place in their service.")                                   \
	X(requests_waiting, "gauge", "srsd_proxy_requests_waiting", "Requests that wait for one.")           \
	X(tunnels, "counter", "srsd_proxy_tunnels_total", "Connections switched to another protocol.")       \
	X(tunnels_open, "gauge", "srsd_proxy_tunnels", "Tunnels that are open.")                             \
	X(attempts, "counter", "srsd_proxy_attempts_total",                                                  \
		"Attempts to have a backend answer, the first of each request included.")                    \
	X(retries, "counter", "srsd_proxy_retries_total", "Attempts after a failed one.")                    \
	X(hedges, "counter", "srsd_proxy_hedges_total",                                                      \
		"Attempts beside one that is under way, because its backend is late.")                       \
	X(hedges_won, "counter", "srsd_proxy_hedges_won_total", "Of these: which answered first.")           \
	X(retries_denied, "counter", "srsd_proxy_retries_denied_total",                                      \
		"Retries and hedges that were not made because the budget for them was used up.")            \
	X(upstream_connects, "counter", "srsd_proxy_upstream_connects_total",                                \
		"Connections opened to backends.")                                                           \
	X(upstream_reuses, "counter", "srsd_proxy_upstream_reuses_total",                                    \
		"Attempts on a pooled connection.")                                                          \
	X(upstream_open, "gauge", "srsd_proxy_upstream_connections",                                         \
		"Connections to backends that are open.")                                                    \
	X(upstream_idle, "gauge", "srsd_proxy_upstream_connections_idle", "Pooled connections to backends.") \
	X(client_bytes_in, "counter", "srsd_proxy_client_received_bytes_total",                              \
		"Bytes received from clients.")                                                              \
	X(client_bytes_out, "counter", "srsd_proxy_client_sent_bytes_total", "Bytes sent to clients.")       \
	X(spliced_bytes, "counter", "srsd_proxy_spliced_bytes_total",                                        \
		"Bytes of bodies that went from socket to socket without being copied to the proxy.")        \
	X(access_lines, "counter", "srsd_proxy_access_log_lines_total", "Lines made for the access log.")    \
	X(access_lines_lost, "counter", "srsd_proxy_access_log_lines_lost_total",                            \
		"Lines of these that could not be written: no room, or whoever takes them is too slow.")     \
	X(waits_awake, "counter", "srsd_proxy_waits_awake_total",                                            \
		"Waits of workers that were awake instead of asleep.")                                       \
	X(waits_awake_in_vain, "counter", "srsd_proxy_waits_awake_in_vain_total",                            \
		"Of these: in which what was waited for did not come.")                                      \
	X(fleet_updates, "counter", "srsd_proxy_worker_fleet_updates_total",                                 \
		"Sets of backends taken on by workers.")

#define COUNTER_FIELD(field, type, name, help) _Atomic uint64_t field;

struct counters {
	COUNTERS(COUNTER_FIELD)
	_Atomic uint64_t awake_us;		  /* that waits awake took */
	_Atomic uint64_t statuses[6];		  /* responses by class: [2] is 2xx; [0] is the rest */
	_Atomic uint64_t problems[PROBLEM_COUNT]; /* exchanges that met this problem at their end */
};

/* Add to a counter of this thread's own. */
#define counter_add(counters, field, by)      share_add(&(counters)->field, (uint64_t)(by))
#define counter_subtract(counters, field, by) share_add(&(counters)->field, (uint64_t) - (int64_t)(by))

#endif
