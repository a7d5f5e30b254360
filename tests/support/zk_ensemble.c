/* zk_ensemble - three servers told of each other. Owns them. */
#include "zk_ensemble.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define START_TRIES 5
#define ROLE_TRIES  600
#define POLL_MS	    100
#define LINES_MAX   512

static FILE *create_file(const char *directory, const char *name)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	if (file == NULL)
		err(1, "cannot make %s", path);
	return file;
}

static void close_file(FILE *file)
{
	if (fclose(file) != 0)
		err(1, "cannot write what an ensemble of ZooKeeper needs");
}

void zk_ensemble_prepare(struct zk_ensemble *ensemble)
{
	char lines[LINES_MAX];
	size_t lines_used = 0;
	size_t list_used = 0;

	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++) {
		struct zk_server *server = &ensemble->servers[i];

		zk_server_prepare_on(server, i + 1);
		lines_used += (size_t)snprintf(lines + lines_used, sizeof(lines) - lines_used,
			"server.%u=127.0.0.%u:%u:%u\n", i + 1, server->host,
			(unsigned)zk_server_free_port_of(server->host),
			(unsigned)zk_server_free_port_of(server->host));
		list_used += (size_t)snprintf(ensemble->list + list_used, sizeof(ensemble->list) - list_used,
			"%s127.0.0.%u:%u", i == 0 ? "" : ",", server->host, (unsigned)server->port);
	}
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++) {
		FILE *extra = create_file(ensemble->servers[i].directory, "zoo.extra");

		fprintf(extra, "initLimit=16\nsyncLimit=8\n%s", lines);
		close_file(extra);
	}
}

void zk_ensemble_launch(struct zk_ensemble *ensemble, unsigned index)
{
	struct zk_server *server = &ensemble->servers[index];
	char data[96];
	FILE *number;

	snprintf(data, sizeof(data), "%s/data", server->directory);
	if (mkdir(data, 0700) != 0 && errno != EEXIST)
		err(1, "cannot make %s", data);
	number = create_file(data, "myid");
	fprintf(number, "%u\n", index + 1);
	close_file(number);
	zk_server_launch(server);
}

void zk_ensemble_await(struct zk_ensemble *ensemble, unsigned index)
{
	struct zk_server *server = &ensemble->servers[index];

	for (int i = 0; i < START_TRIES; i++) {
		if (zk_server_await(server))
			return;
		zk_ensemble_launch(ensemble, index);
	}
	errx(1, "ZooKeeper does not start; see %s/log", server->directory);
}

void zk_ensemble_start(struct zk_ensemble *ensemble)
{
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++) {
		if (ensemble->servers[i].pid == 0)
			zk_ensemble_launch(ensemble, i);
	}
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++)
		zk_ensemble_await(ensemble, i);
}

void zk_ensemble_begin(struct zk_ensemble *ensemble)
{
	zk_ensemble_prepare(ensemble);
	zk_ensemble_start(ensemble);
}

void zk_ensemble_roll(struct zk_ensemble *ensemble)
{
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++) {
		zk_server_kill(&ensemble->servers[i]);
		zk_ensemble_launch(ensemble, i);
		zk_ensemble_await(ensemble, i);
	}
}

void zk_ensemble_kill(struct zk_ensemble *ensemble)
{
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++)
		zk_server_kill(&ensemble->servers[i]);
}

void zk_ensemble_wipe(struct zk_ensemble *ensemble)
{
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++)
		zk_server_wipe(&ensemble->servers[i]);
}

static unsigned find_mode(const struct zk_ensemble *ensemble, const char *mode)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	char answer[4096];

	for (int i = 0; i < ROLE_TRIES; i++) {
		for (unsigned server = 0; server < ZK_ENSEMBLE_SERVERS; server++) {
			if (ensemble->servers[server].pid == 0)
				continue;
			zk_server_ask(&ensemble->servers[server], "srvr", answer, sizeof(answer));
			if (strstr(answer, mode) != NULL)
				return server;
		}
		nanosleep(&pause, NULL);
	}
	errx(1, "no server of the ensemble says \"%s\"", mode);
}

unsigned zk_ensemble_leader(const struct zk_ensemble *ensemble)
{
	return find_mode(ensemble, "Mode: leader");
}

unsigned zk_ensemble_follower(const struct zk_ensemble *ensemble)
{
	return find_mode(ensemble, "Mode: follower");
}

void zk_ensemble_end(struct zk_ensemble *ensemble)
{
	for (unsigned i = 0; i < ZK_ENSEMBLE_SERVERS; i++)
		zk_server_end(&ensemble->servers[i]);
}
