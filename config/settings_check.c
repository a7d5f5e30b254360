/* settings_check - checks over the whole tree: references, duplicates. */
#include "config/settings_check.h"

#include "config/settings_table.h"
#include "config/suggestion.h"
#include "proxy/base/network.h"
#include "srsd/srsd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUGGESTION_NAMES_MAX 1000 /* with more services, none is suggested: that would take seconds */

/* One name or address of a list, with the text that it is compared by. */
struct sighting {
	const struct value *value;
	char *text;
	size_t index;
};

/* All of a list, sorted by text, and those of the same text by index. Owns them and their texts. */
struct sightings {
	struct sighting *items;
	size_t count;
};

static const struct value *list_at(const struct value *mapping, const char *key)
{
	const struct value_entry *entry = value_find(mapping, key, strlen(key));
	return entry != NULL && entry->value->kind == VALUE_LIST ? entry->value : NULL;
}

/* The scalar `key` of item `index`, or the item itself where `key` is NULL. NULL: there is none. */
static const struct value *scalar_of_item(const struct value *list, size_t index, const char *key)
{
	const struct value *item = list->entries[index].value;
	if (key != NULL)
		return value_scalar_at(item, key);
	return item->kind == VALUE_SCALAR ? item : NULL;
}

static int sighting_compare(const void *left, const void *right)
{
	const struct sighting *a = left, *b = right;
	int result = strcmp(a->text, b->text);
	return result != 0 ? result : (a->index > b->index) - (a->index < b->index);
}

static int sighting_compare_text(const void *text, const void *sighting)
{
	return strcmp(text, ((const struct sighting *)sighting)->text);
}

static void sightings_clear(struct sightings *sightings)
{
	for (size_t i = 0; i < sightings->count; i++)
		free(sightings->items[i].text);
	free(sightings->items);
	*sightings = (struct sightings){0};
}

/* Append one, by its own text or by its canonical address. False: out of memory. */
static bool sightings_add(
	struct sightings *sightings, const struct value *value, size_t index, bool is_address)
{
	char canonical[TEXT_ADDRESS_MAX];
	if (value == NULL || (is_address && !text_canonical_address(value->text, canonical)))
		return true;
	char *text = strdup(is_address ? canonical : value->text);
	if (text == NULL)
		return false;
	sightings->items[sightings->count++] =
		(struct sighting){.value = value, .text = text, .index = index};
	return true;
}

/* Gather what a list has under `key`. Empty where there is no list or no memory, which is noted. */
static struct sightings gather(
	const struct value *list, const char *key, bool is_address, struct complaints *complaints)
{
	struct sightings sightings = {0};
	if (list == NULL || list->count == 0)
		return sightings;
	sightings.items = calloc(list->count, sizeof(*sightings.items));
	bool is_good = sightings.items != NULL;
	for (size_t i = 0; i < list->count && is_good; i++)
		is_good = sightings_add(&sightings, scalar_of_item(list, i, key), i, is_address);
	if (!is_good) {
		complaints->is_out_of_memory = true;
		sightings_clear(&sightings);
	}
	if (sightings.count > 0)
		qsort(sightings.items, sightings.count, sizeof(*sightings.items), sighting_compare);
	return sightings;
}

/* "which stands on line 5 already" */
struct earlier {
	char text[64];
};

static struct earlier earlier(struct place place)
{
	struct earlier earlier;
	if (place.line == 0)
		snprintf(earlier.text, sizeof(earlier.text), "which an earlier --set gave already");
	else
		snprintf(earlier.text, sizeof(earlier.text), "which stands on line %zu already", place.line);
	return earlier;
}

/* Complain of every one that stands in the list before. */
static void complain_of_duplicates(
	const struct sightings *sightings, const char *what, struct complaints *complaints)
{
	const struct sighting *first = sightings->items;
	for (size_t i = 1; i < sightings->count; i++) {
		const struct sighting *next = &sightings->items[i];
		if (strcmp(first->text, next->text) != 0) {
			first = next;
			continue;
		}
		complaints_add(complaints, next->value->place,
			"duplicate %s \"%s\", %s: change or remove one", what,
			show(next->value->text, next->value->bytes).text, earlier(first->value->place).text);
	}
}

static void check_duplicates(const struct value *list, const char *key, const char *what, bool is_address,
	struct complaints *complaints)
{
	struct sightings sightings = gather(list, key, is_address, complaints);
	complain_of_duplicates(&sightings, what, complaints);
	sightings_clear(&sightings);
}

static void check_static(const struct value *services, struct complaints *complaints)
{
	for (size_t i = 0; services != NULL && i < services->count; i++)
		check_duplicates(
			list_at(services->entries[i].value, "static"), NULL, "address", true, complaints);
}

static void complain_of_service(
	const struct value *service, const struct sightings *names, struct complaints *complaints)
{
	struct suggestion suggestion = {.word = service->text, .bytes = service->bytes};
	for (size_t i = 0; i < names->count && names->count <= SUGGESTION_NAMES_MAX; i++)
		suggestion_offer(&suggestion, names->items[i].text);
	struct shown shown = show(service->text, service->bytes);
	if (suggestion.nearest != NULL)
		complaints_add(complaints, service->place, "unknown service \"%s\", did you mean \"%s\"?",
			shown.text, show_text(suggestion.nearest).text);
	else
		complaints_add(complaints, service->place,
			"unknown service \"%s\": add one with this name below services", shown.text);
}

/* No service has its name twice, and every route's service is one of them. */
static void check_services(
	const struct value *services, const struct value *routes, struct complaints *complaints)
{
	struct sightings names = gather(services, "name", false, complaints);
	complain_of_duplicates(&names, "service name", complaints);
	for (size_t i = 0; routes != NULL && services != NULL && i < routes->count; i++) {
		const struct value *service = scalar_of_item(routes, i, "service");
		if (service == NULL || service->bytes == 0 || value_is_null(service))
			continue;
		bool is_known =
			names.count > 0 && bsearch(service->text, names.items, names.count,
						   sizeof(*names.items), sighting_compare_text) != NULL;
		if (!is_known)
			complain_of_service(service, &names, complaints);
	}
	sightings_clear(&names);
}

/* The address of all interfaces that takes in this one, a canonical IP address and port, into `out`. False:
 * it is one of these itself, or its port is free to choose. */
static bool address_of_all(const char *canonical, char out[static TEXT_ADDRESS_MAX])
{
	const char *all = canonical[0] == '[' ? "[::]" : "0.0.0.0";
	const char *port = strrchr(canonical, ':');
	if (port == NULL || strcmp(port, ":0") == 0)
		return false;
	snprintf(out, TEXT_ADDRESS_MAX, "%s%s", all, port);
	return strcmp(out, canonical) != 0;
}

/* May what stands later in the list listen where the other one does already? */
static bool may_join(const struct value *listeners, size_t one, size_t other)
{
	const struct value *shared = scalar_of_item(listeners, one > other ? one : other, "shared");
	return shared != NULL && strcmp(shared->text, "true") == 0;
}

/* A listener on all interfaces has the port of each: they cannot both listen, unless the later one shares it.
 */
static void check_overlaps(const struct value *listeners, struct complaints *complaints)
{
	struct sightings addresses = gather(listeners, "address", true, complaints);
	for (size_t i = 0; i < addresses.count; i++) {
		const struct sighting *one = &addresses.items[i];
		char text[TEXT_ADDRESS_MAX];
		const struct sighting *all = address_of_all(one->text, text)
						     ? bsearch(text, addresses.items, addresses.count,
							       sizeof(*one), sighting_compare_text)
						     : NULL;
		if (all == NULL || may_join(listeners, one->index, all->index))
			continue;
		complaints_add(complaints, one->value->place,
			"listener address \"%s\" is one of those of \"%s\", which listens too: remove one of "
			"the two, or write shared: true for both",
			show(one->value->text, one->value->bytes).text, text);
	}
	sightings_clear(&addresses);
}

/* The admin endpoint's address, given or not, must not be a listener's. */
static void check_admin(
	const struct value *root, const struct value *listeners, struct complaints *complaints)
{
	const struct value_entry *admin = value_find(root, "admin", strlen("admin"));
	const struct value *given = admin != NULL ? value_scalar_at(admin->value, "address") : NULL;
	const char *text = given != NULL ? given->text : settings_key_find("admin", "address")->default_text;
	char address[TEXT_ADDRESS_MAX], own_address[TEXT_ADDRESS_MAX], all[TEXT_ADDRESS_MAX];
	if (!text_canonical_address(text, address))
		return;
	for (size_t i = 0; listeners != NULL && i < listeners->count; i++) {
		const struct value *own = scalar_of_item(listeners, i, "address");
		if (own == NULL || !text_canonical_address(own->text, own_address))
			continue;
		if (strcmp(address, own_address) == 0)
			complaints_add(complaints, own->place,
				"address \"%s\" is admin.address too: change one of them",
				show(own->text, own->bytes).text);
		else if (address_of_all(address, all) && strcmp(all, own_address) == 0)
			complaints_add(complaints, own->place,
				"address \"%s\" takes in admin.address \"%s\": change one of them",
				show(own->text, own->bytes).text, address);
		else if (address_of_all(own_address, all) && strcmp(all, address) == 0)
			complaints_add(complaints, own->place,
				"address \"%s\" is one of those of admin.address \"%s\": change one of them",
				show(own->text, own->bytes).text, address);
	}
}

/* The networks of a service, `list->count` at most, into `out`. False: one is no network, which was said. */
static bool read_networks(const struct value *list, struct network *out)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct value *text = scalar_of_item(list, i, NULL);
		if (text == NULL || network_parse(text->text, &out[i]) != NETWORK_GOOD)
			return false;
	}
	return true;
}

static bool is_outside(const char *text, const struct network *networks, size_t count)
{
	struct srsd_address address;
	struct network one;
	return srsd_address_parse(text, strlen(text), &address, NULL) == SRSD_OK &&
	       network_parse(address.host, &one) == NETWORK_GOOD && !networks_have(networks, count, &one);
}

/* The addresses of a service must not be outside of its networks, or they would never be connected to. */
static void check_networks(const struct value *service, struct complaints *complaints)
{
	const struct value *addresses = list_at(service, "static");
	const struct value *list = list_at(service, "networks");
	if (addresses == NULL || list == NULL)
		return;
	struct network *networks = calloc(list->count + 1, sizeof(*networks));
	if (networks == NULL) {
		complaints->is_out_of_memory = true;
		return;
	}
	bool is_good = read_networks(list, networks);
	for (size_t i = 0; is_good && i < addresses->count; i++) {
		const struct value *text = scalar_of_item(addresses, i, NULL);
		if (text != NULL && is_outside(text->text, networks, list->count))
			complaints_add(complaints, text->place,
				"address \"%s\" is outside of the service's networks: add its own to them, "
				"or remove it",
				show(text->text, text->bytes).text);
	}
	free(networks);
}

/* What is said of nodes must have nodes that it is said of. */
static void check_format(const struct value *service, struct complaints *complaints)
{
	const struct value *format = value_scalar_at(service, "format");
	const struct value *port_name = value_scalar_at(service, "port_name");
	const struct value *below = value_scalar_at(service, "below");
	bool is_static = list_at(service, "static") != NULL;
	if (port_name != NULL && (format == NULL || strcmp(format->text, "serverset") != 0))
		complaints_add(complaints, port_name->place,
			"port_name is for the format serverset alone: write format: serverset, or remove it");
	if (below != NULL && is_static)
		complaints_add(complaints, below->place,
			"below is for nodes in the registry, and this service's addresses are static: remove "
			"below, or static");
	if (format != NULL && strcmp(format->text, "name") != 0 && is_static)
		complaints_add(complaints, format->place,
			"format is for nodes in the registry, and this service's addresses are static: "
			"remove "
			"format, or static");
}

/* The same key is to go to the same backend from every proxy. */
static void check_subset(const struct value *service, struct complaints *complaints)
{
	const struct value *balance = value_scalar_at(service, "balance");
	const struct value_entry *subset = value_find(service, "subset", strlen("subset"));
	const struct value *size = subset != NULL ? value_scalar_at(subset->value, "size") : NULL;
	if (balance != NULL && strcmp(balance->text, "ring_hash") == 0 && size != NULL &&
		strcmp(size->text, "off") != 0)
		complaints_add(complaints, size->place,
			"subset.size is not for balance: ring_hash, as each proxy would have other backends "
			"for a "
			"key: remove one of the two");
}

void settings_check(const struct value *root, struct complaints *complaints)
{
	const struct value *listeners = list_at(root, "listeners");
	const struct value *services = list_at(root, "services");
	const struct value *routes = list_at(root, "routes");
	check_duplicates(listeners, "address", "listener address", true, complaints);
	check_overlaps(listeners, complaints);
	check_duplicates(routes, "path", "route path", false, complaints);
	check_services(services, routes, complaints);
	check_static(services, complaints);
	for (size_t i = 0; services != NULL && i < services->count; i++)
		check_networks(services->entries[i].value, complaints);
	for (size_t i = 0; services != NULL && i < services->count; i++)
		check_format(services->entries[i].value, complaints);
	for (size_t i = 0; services != NULL && i < services->count; i++)
		check_subset(services->entries[i].value, complaints);
	check_admin(root, listeners, complaints);
}
