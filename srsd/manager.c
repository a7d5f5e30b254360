/* manager - srsd_open() and srsd_close(): from a configuration to a session. Owns nothing; session.c does. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "session/access.h"
#include "session/servers.h"
#include "session/session.h"
#include "state/state_disk.h"

#define SESSION_TIMEOUT_MS_MIN 1000
#define SESSION_TIMEOUT_MS_MAX 600000
#define RECHECK_MS_MIN	       1000
#define RECHECK_MS_MAX	       86400000

const char *srsd_zookeeper_version(void)
{
	return ZOO_VERSION;
}

static enum srsd_status check_numbers(const struct srsd_config *config, struct srsd_error *error)
{
	uint32_t timeout_ms = config->session_timeout_ms;

	if (timeout_ms < SESSION_TIMEOUT_MS_MIN || timeout_ms > SESSION_TIMEOUT_MS_MAX)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"a session timeout of %" PRIu32 " ms is out of range; 1000 to 600000 will do",
			timeout_ms);
	if (config->recheck_ms < RECHECK_MS_MIN || config->recheck_ms > RECHECK_MS_MAX)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"a re-check each %" PRIu32 " ms is out of range; 1000 to 86400000 will do",
			config->recheck_ms);
	if (config->children_max == 0 || config->data_max == 0)
		return srsd_fail(error, SRSD_BAD_ARGUMENT,
			"children_max or data_max is 0; begin with SRSD_CONFIG_DEFAULT");
	return SRSD_OK;
}

/* What of the configuration needs no reading. NULL: memory is short. */
static struct srsd *manager_new(const struct srsd_config *config)
{
	struct srsd *srsd = calloc(1, sizeof(*srsd));

	if (srsd == NULL)
		return NULL;
	srsd->logger = (struct srsd_logger){.log = config->log, .arg = config->arg};
	srsd->on_state = config->on_state;
	srsd->arg = config->arg;
	srsd->session_timeout_ms = config->session_timeout_ms;
	srsd->children_max = config->children_max;
	srsd->data_max = config->data_max;
	srsd->recheck_ms = config->recheck_ms;
	if (config->auth == NULL)
		return srsd;
	srsd->auth = strdup(config->auth);
	if (srsd->auth != NULL)
		return srsd;
	free(srsd);
	return NULL;
}

/* Copies what is left. */
static enum srsd_status take_state_directory(
	struct srsd *srsd, const struct srsd_config *config, struct srsd_error *error)
{
	enum srsd_status status;

	srsd->state_wait_ms = config->state_wait_ms;
	srsd->max_stale_ms = config->max_stale_ms;
	if (config->state_directory == NULL)
		return SRSD_OK;
	status = srsd_state_directory_check(config->state_directory, error);
	if (status != SRSD_OK)
		return status;
	srsd->state_directory = strdup(config->state_directory);
	if (srsd->state_directory == NULL)
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for a session");
	srsd_state_disk_clean(srsd->state_directory);
	return SRSD_OK;
}

enum srsd_status srsd_open(struct event_base *base, const struct srsd_config *config, struct srsd **out,
	struct srsd_error *error)
{
	struct srsd_servers servers;
	enum srsd_status status;
	struct srsd *srsd;

	srsd_error_clear(error);
	status = check_numbers(config, error);
	if (status == SRSD_OK && config->auth != NULL)
		status = srsd_auth_check(config->auth, error);
	if (status == SRSD_OK)
		status = srsd_servers_read(config->servers, config->registry, &servers, error);
	if (status != SRSD_OK)
		return status;
	srsd = manager_new(config);
	if (srsd == NULL) {
		srsd_servers_clear(&servers);
		return srsd_fail(error, SRSD_NO_MEMORY, "no memory for a session");
	}
	srsd->base = base;
	srsd->servers = servers.list;
	srsd->root = servers.root;
	srsd->server_count = servers.count;
	status = take_state_directory(srsd, config, error);
	if (status == SRSD_OK) {
		status = srsd_session_start(srsd);
		if (status != SRSD_OK)
			srsd_fail(error, status,
				status == SRSD_NO_MEMORY ? "no memory for a session"
							 : "no event can be made on this event_base");
	}
	if (status != SRSD_OK) {
		srsd_servers_clear(&servers);
		srsd_secret_free(srsd->auth);
		free(srsd->state_directory);
		free(srsd);
		return status;
	}
	*out = srsd;
	return SRSD_OK;
}

void srsd_close(struct srsd **srsd)
{
	struct srsd *closing = *srsd;

	*srsd = NULL;
	if (closing != NULL)
		srsd_session_end(SRSD_CAST(struct srsd, closing, SRSD_MAGIC));
}

enum srsd_state srsd_current_state(const struct srsd *srsd)
{
	return srsd->state;
}

uint32_t srsd_session_timeout_ms(const struct srsd *srsd)
{
	return srsd->agreed_timeout_ms;
}
