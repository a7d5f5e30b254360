/* child - runs a command below us, reaps it and all that is re-parented to us. Owns its events, and the
 * group's end.
 *
 *   start: block signals, fork -> own group, die with the parent, signals as they were for us -> exec
 *   end:   what is left of the group: SIGTERM -> (linger_ms) SIGKILL -> gone
 */
#include "srsd/command/child.h"

#include "srsd/command/clock.h"
#include "srsd/command/exit_status.h"
#include "srsd/command/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const int passed_signals[CHILD_SIGNALS] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

/* ---- In the new process: nothing but calls that are allowed after fork() ----------------------- */

/* Handlers are ours, and would write into descriptors that both processes have: each goes before its signal
 * is let in. What was ignored when we were started (by nohup, for one) stays so. */
static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_IGN)
			continue;
		action = (struct sigaction){.sa_handler = SIG_DFL};
		sigaction(number, &action, NULL);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The order matters: a parent that ended before prctl() is seen by getppid(), a later end by the kernel. */
static _Noreturn void become(char **words, pid_t parent, int report)
{
	int error;

	setpgid(0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(CHILD_STATUS_NOT_RUN);
	reset_signals();
	execvp(words[0], words);
	error = errno;
	if (write(report, &error, sizeof(error)) != sizeof(error))
		_exit(CHILD_STATUS_NOT_RUN);
	_exit(CHILD_STATUS_NOT_FOUND);
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* The pipe ends without a word when the command has taken the process over. */
static int read_report(int report)
{
	int error = 0;
	ssize_t bytes;

	do
		bytes = read(report, &error, sizeof(error));
	while (bytes == -1 && errno == EINTR);
	return bytes == sizeof(error) ? error : 0;
}

static int fork_child(struct child *child, char **words, int report[2])
{
	sigset_t all, before;
	pid_t parent = getpid();
	int error;

	/* A signal that came between fork and exec would run our handler in the new process. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child->pid = fork();
	if (child->pid == 0)
		become(words, parent, report[1]);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(report[1]);
	if (child->pid == -1) {
		child->pid = 0;
		return error;
	}
	setpgid(child->pid, child->pid); /* whichever of the two is first */
	error = read_report(report[0]);
	if (error == 0)
		return 0;
	waitpid(child->pid, NULL, 0);
	child->pid = 0;
	return error;
}

static int run(struct child *child, char **words)
{
	int report[2], error;

	if (pipe2(report, O_CLOEXEC) != 0) {
		complain("cannot run \"%s\": %s", words[0], strerror(errno));
		return EXIT_STATUS_SYSTEM;
	}
	error = fork_child(child, words, report);
	close(report[0]);
	if (error == 0)
		return 0;
	complain("cannot run \"%s\": %s", words[0], strerror(error));
	return error == ENOENT ? CHILD_STATUS_NOT_FOUND : CHILD_STATUS_NOT_RUN;
}

/* ---- Signals --------------------------------------------------------------------------------- */

/* Ctrl-Z stops both, and the shell's fg and bg wake both. */
static void on_passed_signal(evutil_socket_t number, short what, void *arg)
{
	struct child *child = arg;

	(void)what;
	child_signal(child, (int)number);
	if (number == SIGTSTP)
		raise(SIGSTOP);
}

/* One that has left its group gets it by itself. */
static void to_group(const struct child *child, int number)
{
	if (child->pid != 0 && kill(-child->pid, number) != 0 && !child->has_ended)
		kill(child->pid, number);
}

void child_signal(struct child *child, int number)
{
	bool is_of_terminal = number == SIGINT || number == SIGHUP || number == SIGTSTP || number == SIGCONT;

	if (child->pid == 0 || child->has_ended)
		return;
	if (is_of_terminal)
		to_group(child, number);
	else
		kill(child->pid, number);
	if (number == SIGTERM || number == SIGINT || number == SIGHUP)
		to_group(child, SIGCONT); /* one that is stopped would never see it */
}

void child_kill(struct child *child)
{
	if (!child->is_gone)
		to_group(child, SIGKILL);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void be_gone(struct child *child)
{
	if (child->is_gone)
		return;
	child->is_gone = true;
	event_del(child->killer);
	child->events->on_gone(child->owner);
}

static void on_killer(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;

	(void)fd;
	(void)what;
	complain("what \"%s\" left behind does not end: killing it", child->name);
	child_kill(child);
	be_gone(child);
}

static void say_end(const struct child *child, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		complain("\"%s\" ended with exit status %d", child->name, info->si_status);
	else
		complain("\"%s\" was ended by signal %d (%s)%s", child->name, info->si_status,
			strsignal(info->si_status), info->si_code == CLD_DUMPED ? ", core dumped" : "");
}

static void say_stop(const struct child *child, int number)
{
	bool is_by_terminal = number == SIGTTIN || number == SIGTTOU;

	complain("\"%s\" was stopped by signal %d (%s)%s", child->name, number, strsignal(number),
		is_by_terminal ? ": it stands behind srsd and cannot use the terminal; give it </dev/null"
			       : "");
}

/* Its process is not reaped yet: nobody else can have its number, nor that of its group. */
static void end(struct child *child, const siginfo_t *info)
{
	struct timeval linger = clock_timeval(child->linger_ms);

	child->status = info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
	say_end(child, info);
	to_group(child, SIGTERM);
	to_group(child, SIGCONT);
	waitpid(child->pid, NULL, 0);
	child->has_ended = true;
	if (child->linger_ms > 0 && event_add(child->killer, &linger) != 0)
		child_kill(child);
	child->events->on_end(child->owner);
}

/* Any process below us that lost its parent is ours, too. One signal may stand for several ends. */
static void on_reaper(evutil_socket_t fd, short what, void *arg)
{
	struct child *child = arg;
	siginfo_t info;

	(void)fd;
	(void)what;
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			break;
		bool is_stop = info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED;

		if (is_stop && info.si_pid == child->pid)
			say_stop(child, info.si_status);
		if (!is_stop && info.si_pid == child->pid && !child->has_ended)
			end(child, &info);
		else
			waitid(P_PID, (id_t)info.si_pid, &info,
				is_stop ? WSTOPPED | WNOHANG : WEXITED | WNOHANG);
	}
	if (child->has_ended && kill(-child->pid, 0) != 0 && errno == ESRCH)
		be_gone(child);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static bool add_events(struct child *child, struct event_base *base)
{
	child->killer = evtimer_new(base, on_killer, child);
	child->reaper = evsignal_new(base, SIGCHLD, on_reaper, child);
	if (child->killer == NULL || child->reaper == NULL || event_add(child->reaper, NULL) != 0)
		return false;
	for (size_t i = 0; i < CHILD_SIGNALS; i++) {
		struct sigaction before;

		if (sigaction(passed_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
			continue;
		child->signals[i] = evsignal_new(base, passed_signals[i], on_passed_signal, child);
		if (child->signals[i] == NULL || event_add(child->signals[i], NULL) != 0)
			return false;
	}
	return true;
}

int child_start(struct child *child, struct event_base *base, char **words, uint32_t linger_ms,
	const struct child_events *events, void *owner)
{
	*child = (struct child){
		.events = events, .owner = owner, .base = base, .name = words[0], .linger_ms = linger_ms};
	if (!add_events(child, base) || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
		complain("cannot look after \"%s\": %s", words[0], strerror(errno));
		return EXIT_STATUS_SYSTEM;
	}
	return run(child, words);
}

void child_close(struct child *child)
{
	if (child->reaper != NULL)
		event_free(child->reaper);
	if (child->killer != NULL)
		event_free(child->killer);
	for (size_t i = 0; i < CHILD_SIGNALS; i++)
		if (child->signals[i] != NULL)
			event_free(child->signals[i]);
}
