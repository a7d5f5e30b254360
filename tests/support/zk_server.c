/* zk_server - runs tests/support/zookeeper-server as a child of the test. Owns the child and its directory.
 */
#include "zk_server.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT_LOW	 10000
#define PORT_HIGH	 32767
#define PORT_TRIES	 200
#define START_TRIES	 5
#define SERVING_WAIT_MS	 60000
#define PROBE_TIMEOUT_MS 500
#define POLL_MS		 20

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static struct sockaddr_in loopback(unsigned host, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl((INADDR_LOOPBACK & 0xffffff00U) | host);
	return address;
}

/* The port is bound, without SO_REUSEADDR, so that nobody else has it; allowing reuse afterwards lets the
 * server of this test, which asks for it, listen there. Whoever connects meanwhile is refused. The descriptor
 * stays open as long as the test's process lives. */
static bool reserve(unsigned host, uint16_t port)
{
	struct sockaddr_in address = loopback(host, port);
	const int yes = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "cannot make a socket");
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0)
		return true;
	close(fd);
	return false;
}

uint16_t zk_server_free_port_of(unsigned host)
{
	for (int i = 0; i < PORT_TRIES; i++) {
		uint16_t port = (uint16_t)(PORT_LOW + arc4random_uniform(PORT_HIGH - PORT_LOW + 1));

		if (reserve(host, port))
			return port;
	}
	errx(1, "no free port between %d and %d", PORT_LOW, PORT_HIGH);
}

uint16_t zk_server_free_port(void)
{
	return zk_server_free_port_of(1);
}

void zk_server_prepare_on(struct zk_server *server, unsigned host)
{
	const char *parent = getenv("TMPDIR");
	int written;

	*server = (struct zk_server){.host = host, .port = zk_server_free_port_of(host)};
	written = snprintf(server->directory, sizeof(server->directory), "%s/zk_server.XXXXXX",
		parent == NULL ? "/tmp" : parent);
	if (written < 0 || (size_t)written >= sizeof(server->directory) || mkdtemp(server->directory) == NULL)
		err(1, "cannot make a directory for ZooKeeper");
}

void zk_server_prepare(struct zk_server *server)
{
	zk_server_prepare_on(server, 1);
}

static _Noreturn void become_server(const struct zk_server *server)
{
	char address[16];
	char log[96];
	char port[8];
	int fd;

	/* It must not outlive the test, however that ends. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(port, sizeof(port), "%u", (unsigned)server->port);
	snprintf(address, sizeof(address), "127.0.0.%u", server->host);
	snprintf(log, sizeof(log), "%s/log", server->directory);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		_exit(126);
	execl(TEST_ZOOKEEPER_SERVER, "zookeeper-server", server->directory, port, address, (char *)NULL);
	_exit(127);
}

/* Send `request` and read until the end, or until the answer is full. Returns the bytes of the answer. */
static size_t exchange(
	const struct zk_server *server, const void *request, size_t request_size, char *answer, size_t size)
{
	struct timeval timeout = {.tv_usec = PROBE_TIMEOUT_MS * 1000};
	struct sockaddr_in address = loopback(server->host, server->port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t used = 0;
	ssize_t got = -1;

	if (fd < 0)
		err(1, "cannot make a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		send(fd, request, request_size, MSG_NOSIGNAL) == (ssize_t)request_size) {
		do {
			got = recv(fd, answer + used, size - used, 0);
			used += got > 0 ? (size_t)got : 0;
		} while (got > 0 && used < size);
	}
	close(fd);
	return used;
}

void zk_server_ask(const struct zk_server *server, const char *word, char *answer, size_t size)
{
	answer[exchange(server, word, 4, answer, size - 1)] = '\0';
}

bool zk_server_takes_sessions(const struct zk_server *server)
{
	/* A connect request, which asks for a session of 2 s, and the closing of it: each after its length.
	 */
	static const unsigned char requests[] = {
		0, 0, 0, 44,					/* bytes that follow */
		0, 0, 0, 0,					/* version of the protocol */
		0, 0, 0, 0, 0, 0, 0, 0,				/* last transaction seen */
		0, 0, 7, 208,					/* timeout in milliseconds */
		0, 0, 0, 0, 0, 0, 0, 0,				/* no session yet */
		0, 0, 0, 16,					/* bytes of its password */
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* none */
		0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf5, /* request 1: close the session (-11) */
	};
	char answer[4 + 36]; /* length, version, timeout (0: refused), session, password */

	return exchange(server, requests, sizeof(requests), answer, sizeof(answer)) == sizeof(answer) &&
	       (answer[10] != 0 || answer[11] != 0);
}

bool zk_server_is_serving(const struct zk_server *server)
{
	char answer[4096];

	zk_server_ask(server, "srvr", answer, sizeof(answer));
	if (strstr(answer, "Mode:") == NULL)
		return false;
	/* Is it ours, or somebody's who took the port? */
	zk_server_ask(server, "conf", answer, sizeof(answer));
	return strstr(answer, server->directory) != NULL;
}

bool zk_server_await(struct zk_server *server)
{
	uint64_t deadline_ms = now_ms() + SERVING_WAIT_MS;

	while (now_ms() < deadline_ms) {
		if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
			server->pid = 0;
			return false;
		}
		if (zk_server_is_serving(server) && zk_server_takes_sessions(server))
			return true;
		sleep_ms(POLL_MS);
	}
	errx(1, "ZooKeeper did not serve within %d ms; see %s/log", SERVING_WAIT_MS, server->directory);
}

void zk_server_launch(struct zk_server *server)
{
	server->pid = fork();
	if (server->pid < 0)
		err(1, "cannot fork");
	if (server->pid == 0)
		become_server(server);
}

void zk_server_start(struct zk_server *server)
{
	for (int i = 0; i < START_TRIES; i++) {
		zk_server_launch(server);
		if (zk_server_await(server))
			return;
	}
	errx(1, "ZooKeeper does not start on port %u; see %s/log", (unsigned)server->port, server->directory);
}

void zk_server_begin(struct zk_server *server)
{
	zk_server_prepare(server);
	zk_server_start(server);
}

void zk_server_kill(struct zk_server *server)
{
	if (server->pid <= 0)
		return;
	kill(server->pid, SIGKILL);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	server->pid = 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *position)
{
	(void)status;
	(void)kind;
	(void)position;
	return remove(path);
}

static void remove_tree(const char *path)
{
	if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
		err(1, "cannot remove %s", path);
}

void zk_server_wipe(struct zk_server *server)
{
	char data[96];

	if (server->pid != 0)
		errx(1, "ZooKeeper runs: kill it before its data are wiped");
	snprintf(data, sizeof(data), "%s/data", server->directory);
	remove_tree(data);
}

void zk_server_freeze(const struct zk_server *server)
{
	siginfo_t stopped;

	if (server->pid <= 0 || kill(server->pid, SIGSTOP) != 0)
		err(1, "cannot freeze ZooKeeper");
	/* Its threads stop one after the other, and one that has not yet may still answer. */
	if (waitid(P_PID, (id_t)server->pid, &stopped, WSTOPPED | WEXITED | WNOWAIT) != 0)
		err(1, "cannot see ZooKeeper freeze");
}

void zk_server_thaw(const struct zk_server *server)
{
	if (server->pid <= 0 || kill(server->pid, SIGCONT) != 0)
		err(1, "cannot thaw ZooKeeper");
}

void zk_server_end(struct zk_server *server)
{
	zk_server_kill(server);
	remove_tree(server->directory);
}
