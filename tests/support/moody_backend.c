/* moody_backend - an HTTP/1.1 server for the tests that fails in the way it is told, and says what it
 * executed. A thread for each connection.
 *
 *   moody_backend PORT DELAY_MS [ADDRESS]    (PORT 0: a free one below 32768)
 *
 * Says "listening ADDRESS:PORT", and "METHOD TARGET" of each request once all of it has come. Is told on
 * standard input, a line each, what to do with requests from then on, and answers each line with "now LINE":
 *
 *   delay MS        how long each of these takes, DELAY_MS first
 *   answer STATUS   its own address, also in X-Served-By
 *   reset | close   an end of the connection instead of an answer
 *   cut             half of an answer, and an end
 *   stall           half of an answer, and the rest when the mood changes
 *   garbage         what is no answer
 *   hole            connections are accepted, and nothing is read of them until the mood changes
 *   random          with each request any of these but the hole, after up to that time, and sometimes behind
 * a 103
 *
 * An answer says in X-Target what was asked for.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#define REQUEST_BYTES_MAX (64 * 1024)
#define LINE_BYTES	  512
#define LOOK_MS		  5
#define HINT_RANDOM_MS	  40
#define STALL_RANDOM_MS	  200
#define PORTS_TRIED	  100
#define PORT_FIRST	  10000
#define PORTS_END	  32768

enum mood { MOOD_ANSWER, MOOD_RESET, MOOD_CLOSE, MOOD_CUT, MOOD_STALL, MOOD_GARBAGE, MOOD_HOLE, MOOD_RANDOM };

static _Atomic int mood_now = MOOD_ANSWER;
static _Atomic int status_now = 200;
static _Atomic int delay_ms_now;
static char own_name[64];

static void sleep_ms(int ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

/* In one call, so that lines of several threads do not mix. */
static void say(const char *first, const char *second)
{
	char line[LINE_BYTES];
	int bytes = snprintf(line, sizeof(line), "%s %s\n", first, second);
	if (bytes >= (int)sizeof(line))
		bytes = (int)sizeof(line) - 1;
	if (write(STDOUT_FILENO, line, (size_t)bytes) != bytes)
		exit(1);
}

static bool send_all(int fd, const char *text, size_t bytes)
{
	while (bytes > 0) {
		ssize_t sent = send(fd, text, bytes, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		text += sent;
		bytes -= (size_t)sent;
	}
	return true;
}

static size_t body_bytes_of(const char *head)
{
	static const char name[] = "\r\ncontent-length:";
	const char *field = strcasestr(head, name);
	return field != NULL ? strtoul(field + sizeof(name) - 1, NULL, 10) : 0;
}

/* One whole request into `request`, of which `held` bytes are there. Returns its size; 0: the connection has
 * ended, or is of no use. */
static size_t receive_request(int fd, char *request, size_t *held)
{
	for (;;) {
		request[*held] = '\0';
		const char *end = strstr(request, "\r\n\r\n");
		size_t head_bytes = end != NULL ? (size_t)(end - request) + 4 : 0;
		if (end != NULL && *held - head_bytes >= body_bytes_of(request))
			return head_bytes + body_bytes_of(request);
		if (*held == REQUEST_BYTES_MAX)
			return 0;
		ssize_t got = recv(fd, request + *held, REQUEST_BYTES_MAX - *held, 0);
		while (atomic_load(&mood_now) == MOOD_HOLE)
			sleep_ms(LOOK_MS);
		if (got <= 0)
			return 0;
		*held += (size_t)got;
	}
}

/* An end that the other side sees as a reset. */
static void reset(int fd)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* Half of an answer is out. */
static void stall(enum mood mood)
{
	if (mood == MOOD_STALL && atomic_load(&mood_now) == MOOD_RANDOM)
		sleep_ms((int)arc4random_uniform(STALL_RANDOM_MS));
	while (atomic_load(&mood_now) == MOOD_STALL)
		sleep_ms(LOOK_MS);
}

/* False: the connection is over. */
static bool answer(int fd, enum mood mood, int status, const char *method, const char *target)
{
	static const char rest[] = "\n";
	char text[2 * LINE_BYTES];
	bool is_head = strcmp(method, "HEAD") == 0;
	int bytes = snprintf(text, sizeof(text),
		"HTTP/1.1 %d Said\r\nContent-Type: text/plain\r\nX-Served-By: %s\r\nX-Target: %s\r\n"
		"Content-Length: %zu\r\n\r\n%s%s",
		status, own_name, target, strlen(own_name) + 1, is_head ? "" : own_name,
		mood == MOOD_ANSWER && !is_head ? rest : "");
	if (!send_all(fd, text, (size_t)bytes) || mood == MOOD_CUT)
		return false;
	stall(mood);
	return mood == MOOD_ANSWER || is_head || send_all(fd, rest, sizeof(rest) - 1);
}

/* Before some of the answers; the answer comes later then. */
static bool hint(int fd)
{
	static const char text[] = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
	if (atomic_load(&mood_now) != MOOD_RANDOM || arc4random_uniform(4) > 0)
		return true;
	if (!send_all(fd, text, sizeof(text) - 1))
		return false;
	sleep_ms((int)arc4random_uniform(HINT_RANDOM_MS));
	return true;
}

/* More answers than faults. */
static enum mood random_mood(int *status)
{
	uint32_t drawn = arc4random_uniform(20);
	*status = drawn == 0 ? 500 : drawn == 1 ? 503 : 200;
	return drawn < MOOD_HOLE ? (enum mood)drawn : MOOD_ANSWER;
}

/* False: the connection is over. */
static bool serve(int fd, const char *request)
{
	static const char garbage[] = "once upon a time\r\n\r\n";
	char target[LINE_BYTES];
	char method[32];
	if (sscanf(request, "%31s %500s", method, target) != 2)
		return false;
	say(method, target);
	enum mood mood = (enum mood)atomic_load(&mood_now);
	int status = atomic_load(&status_now), delay_ms = atomic_load(&delay_ms_now);
	if (mood == MOOD_RANDOM) {
		mood = random_mood(&status);
		delay_ms = (int)arc4random_uniform((uint32_t)delay_ms + 1);
	}
	sleep_ms(delay_ms);
	switch (mood) {
	case MOOD_RESET:
		reset(fd);
		return false;
	case MOOD_GARBAGE:
		(void)send_all(fd, garbage, sizeof(garbage) - 1);
		return false;
	case MOOD_CLOSE:
		return false;
	case MOOD_HOLE: /* since it was received */
		mood = MOOD_ANSWER;
		break;
	default:
		break;
	}
	return hint(fd) && answer(fd, mood, status, method, target);
}

static void *run_connection(void *arg)
{
	int fd = (int)(intptr_t)arg, on = 1;
	char *request = malloc(REQUEST_BYTES_MAX + 1);
	size_t held = 0, used;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while (request != NULL && (used = receive_request(fd, request, &held)) > 0 && serve(fd, request)) {
		held -= used;
		memmove(request, request + used, held);
	}
	free(request);
	close(fd);
	return NULL;
}

static void obey(const char *line)
{
	static const struct {
		const char *name;
		enum mood mood;
	} moods[] = {{"reset", MOOD_RESET}, {"close", MOOD_CLOSE}, {"cut", MOOD_CUT}, {"stall", MOOD_STALL},
		{"garbage", MOOD_GARBAGE}, {"hole", MOOD_HOLE}, {"random", MOOD_RANDOM}};
	int number;
	if (sscanf(line, "delay %d", &number) == 1) {
		atomic_store(&delay_ms_now, number);
		return;
	}
	if (sscanf(line, "answer %d", &number) == 1) {
		atomic_store(&status_now, number);
		atomic_store(&mood_now, MOOD_ANSWER);
		return;
	}
	for (size_t i = 0; i < sizeof(moods) / sizeof(moods[0]); i++)
		if (strcmp(line, moods[i].name) == 0) {
			atomic_store(&mood_now, moods[i].mood);
			return;
		}
	errx(64, "no such mood: %s", line);
}

static void *run_orders(void *arg)
{
	char line[LINE_BYTES];
	(void)arg;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
		say("now", line);
	}
	return NULL;
}

static void start(void *(*run)(void *), void *arg)
{
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, 256 * 1024);
	int error = pthread_create(&thread, &attributes, run, arg);
	if (error != 0)
		errx(1, "no thread: %s", strerror(error));
	pthread_attr_destroy(&attributes);
}

static int listen_on(const char *address, int port)
{
	struct sockaddr_in where = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	if (fd < 0 || inet_pton(AF_INET, address, &where.sin_addr) != 1)
		err(1, "no socket for %s", address);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	for (int i = 0; i < PORTS_TRIED; i++) {
		int tried = port != 0 ? port : PORT_FIRST + (int)arc4random_uniform(PORTS_END - PORT_FIRST);
		where.sin_port = htons((uint16_t)tried);
		if (bind(fd, (struct sockaddr *)&where, sizeof(where)) == 0 && listen(fd, 1024) == 0) {
			snprintf(own_name, sizeof(own_name), "%s:%d", address, tried);
			return fd;
		}
		if (errno != EADDRINUSE || port != 0)
			break;
	}
	err(1, "cannot listen on %s:%d", address, port);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(64, "usage: moody_backend PORT DELAY_MS [ADDRESS]");
	atomic_store(&delay_ms_now, atoi(argv[2]));
	int listener = listen_on(argc > 3 ? argv[3] : "127.0.0.1", atoi(argv[1]));
	start(run_orders, NULL);
	say("listening", own_name);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
			err(1, "accept");
		if (fd >= 0)
			start(run_connection, (void *)(intptr_t)fd);
	}
}
