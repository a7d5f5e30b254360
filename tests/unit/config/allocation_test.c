/* Every allocation of a load fails once: it must end in a complaint and no settings, without a leak.
 * The linker sends the allocations of the library, and of libyaml, which is linked statically for that,
 * through the functions below (--wrap). A leak is found by the build with AddressSanitizer, and by the counts
 * here. */
#include "loading.h"

#include <errno.h>
#include <stdint.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
char *__real_strdup(const char *text);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *memory);

static bool is_counting;
static size_t allocations; /* since counting began */
static size_t fails_at;	   /* the number of the one that fails */
static long held;	   /* allocated and not freed since counting began */

static bool may_allocate(void)
{
	return !is_counting || ++allocations != fails_at;
}

static void *count(void *memory)
{
	held += is_counting && memory != NULL;
	return memory;
}

void *__wrap_malloc(size_t bytes)
{
	return may_allocate() ? count(__real_malloc(bytes)) : NULL;
}

void *__wrap_calloc(size_t items, size_t bytes)
{
	return may_allocate() ? count(__real_calloc(items, bytes)) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
	if (!may_allocate())
		return NULL;
	return old == NULL ? count(__real_realloc(NULL, bytes)) : __real_realloc(old, bytes);
}

char *__wrap_strdup(const char *text)
{
	return may_allocate() ? count(__real_strdup(text)) : NULL;
}

void __wrap_free(void *memory)
{
	held -= is_counting && memory != NULL;
	__real_free(memory);
}

struct told {
	size_t count;
	bool is_out_of_memory;
};

static void note(void *arg, const char *text)
{
	struct told *told = arg;
	told->count++;
	told->is_out_of_memory |= strstr(text, "out of memory while the configuration was read") != NULL;
}

/* Load with one allocation after the other failing; returns how many a load makes. */
static size_t fail_each(const char *text, const char *const *overrides, size_t override_count, bool is_good)
{
	for (size_t i = 1; i < 100000; i++) {
		struct told told = {0};
		allocations = 0;
		held = 0;
		fails_at = i;
		is_counting = true;
		struct settings *settings =
			settings_load_text("t", text, strlen(text), overrides, override_count, note, &told);
		bool is_done = allocations < i;
		bool has_settings = settings != NULL, is_told_by_errno = errno == ENOMEM;
		settings_free(&settings);
		is_counting = false;
		cr_assert_eq(held, 0, "allocation %zu: %ld are not freed", i, held);
		if (is_done) {
			cr_expect_eq(has_settings, is_good);
			return i - 1;
		}
		cr_assert(!has_settings && told.is_out_of_memory && is_told_by_errno,
			"allocation %zu failed: settings %d, told %zu", i, has_settings, told.count);
	}
	cr_assert(false, "no end");
	return 0;
}

Test(allocation, of_a_good_text)
{
	static const char text[] =
		LEAST "timeouts: {connect: 2s, client_idle: 1m}\nlimits:\n  head: 8k\n  fields: 50\n";
	static const char *const overrides[] = {"services.a.static.0=h:1", "services.a.static.1=h:2",
		"listeners.1.address=127.0.0.1:81", "log.level=debug", "routes.0.forward_to=/info"};
	size_t count_of_all = fail_each(text, overrides, 5, true);
	cr_expect_gt(count_of_all, 100, "only %zu allocations were seen: is --wrap in effect?", count_of_all);
}

Test(allocation, of_a_bad_text)
{
	static const char text[] =
		"zokeeper: &a {x: [1, 2, *a]}\nlisteners: [{address: x, shared: maybe}]\n"
		"services: [{name: a, name: b, static: [h:1, h:1, 3]}]\nroutes: [{path: x, service: y}]\n"
		"log: {level: loud}\nworkers: many\n";
	static const char *const overrides[] = {"nothing", "a.b.c=d", "listeners.7=x"};
	fail_each(text, overrides, 3, false);
}

/* libyaml keeps what it has of a text with an error of syntax: that too must go. */
Test(allocation, of_a_broken_text)
{
	fail_each("a: [b, {c: d, e: \"f\n", NULL, 0, false);
}

Test(allocation, of_a_file)
{
	for (size_t i = 1; i <= 3; i++) {
		struct told told = {0};
		allocations = 0;
		held = 0;
		fails_at = i;
		is_counting = true;
		struct settings *settings =
			settings_load(SHIPPED_FOLDER "/srsd-proxy.yaml", NULL, 0, note, &told);
		is_counting = false;
		cr_expect(settings == NULL && told.is_out_of_memory && errno == ENOMEM && held == 0,
			"allocation %zu", i);
	}
}
