/* main - srsd-proxy's command line: reads the configuration, then serves, checks or shows it. */
#include "base/log.h"
#include "config/settings.h"
#include "exit_code.h"
#include "server.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <llhttp.h>
#include <signal.h>
#include <srsd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define MAIN_OVERRIDES_MAX 256

#ifndef MAIN_DEFAULT_CONFIG
#define MAIN_DEFAULT_CONFIG "/etc/srsd-proxy/srsd-proxy.yaml"
#endif

enum main_mode { MAIN_SERVE, MAIN_TEST, MAIN_DUMP };

struct main_options {
	enum main_mode mode;
	const char *config;
	const char *overrides[MAIN_OVERRIDES_MAX];
	size_t override_count;
};

static const char main_help[] =
	"Usage: srsd-proxy [OPTION]...\n"
	"Forward HTTP requests to the live backends that a ZooKeeper service registry names.\n"
	"\n"
	"  -c, --config FILE        the configuration (default " MAIN_DEFAULT_CONFIG ")\n"
	"  -t, --test               check the configuration, say what is wrong with it and where, and exit\n"
	"  -T, --dump               print the effective configuration with its defaults, and exit\n"
	"      --set KEY.PATH=VALUE set one value over the file's, for example --set "
	"listeners.0.address=[::]:80\n"
	"                           or --set zookeeper.servers=10.0.0.1:2181; may be repeated\n"
	"  -V, --version            print the versions of the program and of its libraries, and exit\n"
	"  -h, --help               print this, and exit\n"
	"\n"
	"Signals: SIGTERM or SIGINT stop accepting, let requests finish within drain_timeout, and exit;\n"
	"a second one exits at once. SIGUSR1 opens the access log anew. SIGHUP does nothing: a changed\n"
	"configuration needs a restart.\n"
	"\n"
	"Exit codes: 0 ended as asked; 1 ended before all requests were served; 64 wrong command line;\n"
	"71 no memory, descriptors or threads; 73 the access log cannot be opened; 75 an address is taken\n"
	"by another process; 77 an address cannot be listened on; 78 wrong configuration.\n"
	"\n"
	"Every key of the configuration is described in docs/configuration.md.\n";

static const struct option main_long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"test", no_argument, NULL, 't'},
	{"dump", no_argument, NULL, 'T'},
	{"set", required_argument, NULL, 's'},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void main_print_version(void)
{
	int major, minor, patch;
	yaml_get_version(&major, &minor, &patch);
	printf("srsd-proxy %s\n", srsd_version());
	printf("libevent %s\n", event_get_version());
	printf("llhttp %d.%d.%d\n", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
	printf("zookeeper client %s\n", srsd_zookeeper_version());
	printf("libyaml %d.%d.%d\n", major, minor, patch);
}

static _Noreturn void main_refuse(const char *what, const char *value)
{
	fprintf(stderr, "srsd-proxy: %s%s%s\nTry 'srsd-proxy --help'.\n", what, value != NULL ? ": " : "",
		value != NULL ? value : "");
	exit(EXIT_CODE_USAGE);
}

static void main_add_override(struct main_options *options, const char *text)
{
	const char *equals = strchr(text, '=');
	if (equals == NULL || equals == text)
		main_refuse("--set wants KEY.PATH=VALUE, not", text);
	if (options->override_count == MAIN_OVERRIDES_MAX)
		main_refuse("too many --set options", NULL);
	options->overrides[options->override_count++] = text;
}

static void main_parse(int argc, char **argv, struct main_options *options)
{
	int option;
	while ((option = getopt_long(argc, argv, "c:tTVh", main_long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config = optarg;
			break;
		case 't':
			options->mode = MAIN_TEST;
			break;
		case 'T':
			options->mode = MAIN_DUMP;
			break;
		case 's':
			main_add_override(options, optarg);
			break;
		case 'V':
			main_print_version();
			exit(EXIT_CODE_OK);
		case 'h':
			fputs(main_help, stdout);
			exit(EXIT_CODE_OK);
		default: /* getopt_long() has said what is wrong */
			fputs("Try 'srsd-proxy --help'.\n", stderr);
			exit(EXIT_CODE_USAGE);
		}
	}
	if (optind < argc)
		main_refuse("unexpected argument", argv[optind]);
}

static void main_complain(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "%s\n", text);
}

/* What libevent has to say, of name servers for one, is a line like the others. */
static void main_log_libevent(int severity, const char *text)
{
	enum log_level level = severity == EVENT_LOG_ERR    ? LOG_ERROR
			       : severity == EVENT_LOG_WARN ? LOG_WARNING
							    : LOG_INFO;
	log_event(level, "libevent", LOG_TEXT("message", text));
}

static void main_configure_log(const struct log_settings *settings)
{
	static const enum log_level levels[] = {
		[LOG_LEVEL_SETTING_ERROR] = LOG_ERROR,
		[LOG_LEVEL_SETTING_WARNING] = LOG_WARNING,
		[LOG_LEVEL_SETTING_INFO] = LOG_INFO,
		[LOG_LEVEL_SETTING_DEBUG] = LOG_DEBUG,
	};
	log_configure(settings->format == LOG_FORMAT_SETTING_JSON ? LOG_JSON : LOG_KEY_VALUE,
		levels[settings->level]);
	event_set_log_callback(main_log_libevent);
}

/* A full disk or a closed pipe must not pass for success. */
static enum exit_code main_flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_CODE_OK;
	perror("srsd-proxy: standard output");
	return EXIT_CODE_FAILURE;
}

/* What the configuration names, and only a look shows to be of use. */
static bool main_check_files(const struct settings *settings, const char *config)
{
	const char *path = settings->zookeeper.auth_file;
	const char *directory = settings->zookeeper.state_dir;
	char auth[SRSD_AUTH_MAX];
	struct srsd_error error;
	if (directory != NULL && srsd_state_directory_check(directory, &error) != SRSD_OK) {
		fprintf(stderr, "%s: zookeeper.state_dir: %s\n", config, error.text);
		return false;
	}
	if (path == NULL || srsd_auth_read(path, auth, &error) == SRSD_OK) {
		explicit_bzero(auth, sizeof(auth));
		return true;
	}
	fprintf(stderr, "%s: zookeeper.auth_file: %s\n", config, error.text);
	return false;
}

/* Whoever starts us may have closed standard input, output or error: then a socket would get its number, and
 * lines of the log would go to a client. */
static void main_hold_standard_descriptors(void)
{
	int fd;
	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		continue;
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct main_options options = {.mode = MAIN_SERVE, .config = MAIN_DEFAULT_CONFIG};
	enum exit_code code = EXIT_CODE_OK;
	main_hold_standard_descriptors();
	main_parse(argc, argv, &options);
	signal(SIGPIPE, SIG_IGN); /* evhttp writes without MSG_NOSIGNAL */
	struct settings *settings =
		settings_load(options.config, options.overrides, options.override_count, main_complain, NULL);
	if (settings == NULL)
		return errno == ENOMEM ? EXIT_CODE_RESOURCES : EXIT_CODE_SETTINGS;
	main_configure_log(&settings->log);
	if (options.mode != MAIN_DUMP && !main_check_files(settings, options.config)) {
		settings_free(&settings);
		return EXIT_CODE_SETTINGS;
	}
	switch (options.mode) {
	case MAIN_SERVE:
		code = server_run(settings);
		break;
	case MAIN_TEST:
		printf("%s: ok\n", options.config);
		code = main_flush_output();
		break;
	case MAIN_DUMP:
		settings_dump(settings, stdout);
		code = main_flush_output();
		break;
	}
	settings_free(&settings);
	return (int)code;
}
