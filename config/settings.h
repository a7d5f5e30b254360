/* settings - what the user configured, as one immutable struct; read from YAML, checked, with defaults.
 *
 * One table (settings_table.c) gives each key its name, type, default, unit, bounds and help. The reader, the
 * --set option, the dump, and docs/configuration.md are all made from it. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include "srsd/srsd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum log_format_setting { LOG_FORMAT_SETTING_KEY_VALUE, LOG_FORMAT_SETTING_JSON };
enum log_level_setting {
	LOG_LEVEL_SETTING_ERROR,
	LOG_LEVEL_SETTING_WARNING,
	LOG_LEVEL_SETTING_INFO,
	LOG_LEVEL_SETTING_DEBUG
};

struct zookeeper_settings {
	char *servers;	 /* host:port,...[/chroot] */
	char *registry;	 /* path above the labels */
	char *auth_file; /* holds user:password; "none" (NULL here): says nothing of who it is */
	uint64_t session_timeout_ms;
	char *state_dir;	/* where the last known sets are kept; "none" (NULL here): nowhere */
	uint64_t state_wait_ms; /* for how long ZooKeeper is waited for before they are read */
	uint64_t max_stale_ms;	/* an older one is not used; 0: however old */
	uint64_t recheck_ms;	/* about how often a set is read again though nothing was heard */
};

struct listener_settings {
	char *address;	/* host:port, as srsd_address_parse() reads it, an IP address; port 0 is allowed */
	bool is_shared; /* key "shared": other processes may listen on the same port (SO_REUSEPORT) */
	bool has_proxy_header; /* key "proxy_protocol": each connection begins with a PROXY header */
	bool is_deferred;      /* key "deferred": a connection is taken when its first bytes are there */
};

/* What a service may have of its own; where it says nothing the overall value stands here as well. */
struct service_timeout_settings {
	uint64_t request_body_ms;
	uint64_t connect_ms;
	uint64_t response_head_ms;
	uint64_t response_body_ms;
	uint64_t upstream_idle_ms;
	uint64_t tunnel_idle_ms;
	uint64_t queue_ms;
	uint64_t request_ms; /* 0: no bound */
};

/* 0: no limit. */
struct service_limit_settings {
	uint64_t requests; /* in flight, over all workers */
	uint64_t queue;	   /* waiting for one of these to end, over all workers; 0: none waits */
	uint64_t connections_per_endpoint; /* to one backend, over all workers */
};

enum probe_setting { PROBE_SETTING_HTTP, PROBE_SETTING_CONNECT, PROBE_SETTING_OFF };

/* What is believed of a service's backends, and what follows. */
struct health_settings {
	enum probe_setting probe;
	char *path;		  /* what a probe asks for */
	uint64_t interval_ms;	  /* between two probes of one that works; 0: only where there is doubt */
	uint64_t timeout_ms;	  /* of a probe */
	uint64_t errors;	  /* in a row, that eject; 0: never */
	uint64_t silence_ms;	  /* the least that is late; 0: nothing is */
	uint64_t ejection_ms;	  /* the first one */
	uint64_t ejection_max_ms; /* at least ejection_ms */
	uint64_t ejected_share;	  /* percent of the set, for errors and silence */
	bool has_panic;		  /* key "panic": where all are ejected, the least bad ones get requests */
	uint64_t slow_start_ms;	  /* 0: off */
	uint64_t vanish_share;	  /* percent of the set; 100: the registry is always believed */
	uint64_t vanish_hold_ms;  /* for how long it is not */
};

/* Who says 100 Continue to a client that waits for it with its request's body. */
enum expect_continue_setting { EXPECT_CONTINUE_SETTING_PASS, EXPECT_CONTINUE_SETTING_ANSWER };

/* This proxy's share of a service's backends. */
struct subset_settings {
	uint64_t size;	/* so many are used; 0: all */
	char *identity; /* of this proxy; NULL: its host's name and its first listener's address */
};

struct service_settings {
	char *name;	  /* the label below the registry */
	char *balance;	  /* name of a policy, one of balance_words in settings_table.c */
	uint64_t choices; /* 1 to 16 */
	char *hash_on;	  /* path, client_address, header:NAME or cookie:NAME */
	enum srsd_format format;
	char *port_name; /* of a server set's additional endpoint; NULL: its service endpoint */
	char *below;	 /* name of the node under the label's that holds the members; NULL: the label's */
	char **static_names; /* key "static": addresses, NULL-terminated; NULL: those of the registry */
	size_t static_count;
	char **networks; /* where its backends may be, NULL-terminated; NULL: wherever a service can be */
	size_t network_count;
	enum expect_continue_setting expect_continue;
	struct service_timeout_settings timeouts;
	struct service_limit_settings limits;
	struct subset_settings subset;
	struct health_settings health;
};

/* Which requests may be sent again when a backend may have seen them already. */
enum repeat_setting { REPEAT_SETTING_IDEMPOTENT, REPEAT_SETTING_NEVER, REPEAT_SETTING_ALWAYS };

struct route_settings {
	char *path;	  /* prefix, starts with '/' */
	char *service;	  /* name of one of the services */
	char *forward_to; /* absolute path, or NULL: the request's own */
	enum repeat_setting repeat;
	char **upgrades; /* key "upgrade": protocols, NULL-terminated; NULL: none */
	size_t upgrade_count;
};

struct timeout_settings {
	uint64_t request_head_ms; /* first byte to last byte of a request's head */
	uint64_t request_body_ms; /* between two reads of a request's body */
	uint64_t connect_ms;
	uint64_t response_head_ms; /* request sent, to the response's head complete */
	uint64_t response_body_ms; /* between two reads of a response's body; also: client takes nothing */
	uint64_t client_idle_ms;   /* keep-alive, between two requests */
	uint64_t upstream_idle_ms; /* a pooled connection to a backend */
	uint64_t tunnel_idle_ms;   /* neither side of an upgraded connection sends */
	uint64_t queue_ms;	   /* a request waits for its place */
	uint64_t request_ms;	   /* a request's head complete, to its response complete; 0: no bound */
};

struct limit_settings {
	uint64_t head_bytes;		 /* a request's or response's start line and fields together */
	uint64_t fields;		 /* number of them */
	uint64_t request_body_bytes;	 /* payload of a request's body; 0: off */
	uint64_t connections;		 /* from clients, over all workers */
	uint64_t connections_per_client; /* from one address, over all workers; 0: no limit */
	uint64_t idle_per_endpoint;	 /* pooled connections to one backend, per worker */
	uint64_t receive_bytes;		 /* the most taken from a socket in one call */
	bool has_splice;		 /* long bodies go from socket to socket uncopied */
	uint64_t children;		 /* nodes under a label */
	uint64_t node_data_bytes;	 /* of a node, where they are read */
};

/* Which requests get a line in the access log. */
enum access_if_setting { ACCESS_IF_SETTING_ALL, ACCESS_IF_SETTING_FAILED, ACCESS_IF_SETTING_SLOW };

struct explain_settings {
	char **networks; /* who may ask why, NULL-terminated; NULL or an empty list ("none"): nobody */
	size_t network_count;
};

struct log_settings {
	enum log_format_setting format; /* key_value | json */
	enum log_level_setting level;
	char *access; /* "stdout", "stderr" or an absolute path; "off" (NULL here): no access log */
	enum access_if_setting access_if;
	uint64_t access_slow_ms;
};

struct admin_settings {
	char *address; /* host:port; port 0 is allowed; "off" (NULL here): no admin listener */
};

enum forwarded_fields_setting {
	FORWARDED_FIELDS_SETTING_X_FORWARDED,
	FORWARDED_FIELDS_SETTING_RFC7239,
	FORWARDED_FIELDS_SETTING_BOTH,
	FORWARDED_FIELDS_SETTING_OFF
};

struct forwarded_settings {
	enum forwarded_fields_setting fields;
	char **trusted; /* networks, NULL-terminated; NULL: every peer is; an empty list ("none"): no peer */
	size_t trusted_count;
};

struct retry_settings {
	uint64_t tries;	     /* attempts per request, the first included */
	uint64_t budget;     /* percent of a service's requests, over ten seconds */
	uint64_t budget_min; /* and so many each second, over all workers */
	bool has_status_5xx; /* key "status_5xx": an answer of 500, 502, 503, 504 is tried again once */
	uint64_t hedge;	     /* percentile of a service's latency; 0: off */
	uint64_t attempt_timeout_ms; /* an attempt's response head; 0: no bound of its own */
};

/* Which responses tell programs, in Proxy-Status (RFC 9209), how the proxy came to them. */
enum proxy_status_setting { PROXY_STATUS_SETTING_OFF, PROXY_STATUS_SETTING_OWN, PROXY_STATUS_SETTING_ALL };

/* How a worker that serves one request at a time waits for its answer. */
enum answer_wait_setting { ANSWER_WAIT_SETTING_ASLEEP, ANSWER_WAIT_SETTING_AUTO };

/* What becomes of a request whose client has ended its side of the connection. */
enum half_closed_setting { HALF_CLOSED_SETTING_ANSWER, HALF_CLOSED_SETTING_CANCEL };

/* The congestion control of TCP between sockets of this machine. */
enum loopback_congestion_control_setting {
	LOOPBACK_CONGESTION_CONTROL_SETTING_RENO,
	LOOPBACK_CONGESTION_CONTROL_SETTING_SYSTEM
};

struct settings {
	struct zookeeper_settings zookeeper;
	struct listener_settings *listeners;
	size_t listener_count;
	struct service_settings *services;
	size_t service_count;
	struct route_settings *routes;
	size_t route_count;
	struct timeout_settings timeouts;
	struct limit_settings limits;
	struct retry_settings retries;
	struct forwarded_settings forwarded;
	struct explain_settings explain;
	struct log_settings log;
	struct admin_settings admin;
	uint64_t workers; /* 0: auto, one per processor this process may use */
	enum answer_wait_setting answer_wait;
	uint64_t busy_wait_ms;	  /* how long a worker waits awake for anything; 0: not at all */
	uint64_t background_nice; /* how far registry and checker stand behind the workers; 0: beside them */
	uint64_t name_refresh_ms; /* about how often host names of backends are looked up again */
	uint64_t drain_timeout_ms;
	enum half_closed_setting half_closed;
	enum loopback_congestion_control_setting loopback_congestion_control;
	enum proxy_status_setting proxy_status;
};

/* Where complaints go: one call per error, `text` a line without newline: "file:line:column: what, and what
 * to do". */
typedef void settings_complain_fn(void *arg, const char *text);

/* Read `path`, apply `overrides` ("key.path=value", `override_count` of them, in order), fill in defaults,
 * check. Every error is reported, not only the first; an override's place is "--set key.path=value:". Returns
 * the settings, which the caller frees with settings_free(), or NULL after at least one complaint, with errno
 * ENOMEM when memory lacked and EINVAL else. */
struct settings *settings_load(const char *path, const char *const *overrides, size_t override_count,
	settings_complain_fn *complain, void *arg);

/* The same from a text of `bytes` bytes; `name` is what complaints call it. */
struct settings *settings_load_text(const char *name, const char *text, size_t bytes,
	const char *const *overrides, size_t override_count, settings_complain_fn *complain, void *arg);

/* Free it; set the pointer to NULL. */
void settings_free(struct settings **settings);

/* Write the effective configuration as YAML that settings_load() reads back to the same settings. */
void settings_dump(const struct settings *settings, FILE *out);

/* Write docs/configuration.md from the table. */
void settings_document(FILE *out);

#endif
