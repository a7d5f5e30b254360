/* feed - runs a command with a text as its standard input: how tests let others judge what we write. */
#ifndef SUPPORT_FEED_H
#define SUPPORT_FEED_H

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* Its exit status; 127: there is no such command. Its words go to the test's output. */
static inline int feed(const char *command, const void *at, size_t bytes)
{
	signal(SIGPIPE, SIG_IGN); /* a judge may stop reading */
	FILE *pipe = popen(command, "w");
	cr_assert(pipe != NULL);
	fwrite(at, 1, bytes, pipe);
	int status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Is each line JSON, to a strict reader that is not ours? */
#define FEED_JSON_LINES                                                                                      \
	"/usr/bin/python3 -c 'import json,sys\nfor line in sys.stdin.buffer: "                               \
	"json.loads(line.decode(\"utf-8\"))'"

#endif
