"""objects - who uses whom among compiled sources: read off object files by nm, and off #include lines.

A source uses another one when its object file needs a symbol that the other one's defines: a call or an address
taken. Types and tables of functions are no use in this sense: that is how events come back up.
"""

import collections
import pathlib
import re
import subprocess


def source_of(object_file, build):
    """build/proxy/CMakeFiles/http.dir/http/parser.c.o -> proxy/http/parser.c"""
    parts = object_file.relative_to(build).parts
    cmake_files = parts.index("CMakeFiles")
    inside = parts[cmake_files + 2:]
    return "/".join(parts[:cmake_files] + inside).removesuffix(".o")


def find_objects(build, folders):
    """The object files below the build's folders, by source; a source that is compiled twice has two."""
    objects = collections.defaultdict(list)
    for folder in folders:
        for path in sorted((pathlib.Path(build) / folder).rglob("CMakeFiles/*.dir/**/*.c.o")):
            objects[source_of(path, build)].append(path)
    return objects


def symbols(object_file):
    """The global symbols that an object file defines, and those that it needs."""
    listing = subprocess.run(["nm", "--extern-only", "--format=posix", str(object_file)],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
    defined, needed = set(), set()
    for line in listing.splitlines():
        name, kind = line.split()[:2]
        (needed if kind in "Uwv" else defined).add(name)
    return defined, needed


def read_uses(objects):
    """A graph {source: {used source: symbol}}, and a list of complaints about symbols that two sources define."""
    definer, needs, complaints = {}, collections.defaultdict(set), []
    for source, paths in sorted(objects.items()):
        for path in paths:
            defined, needed = symbols(path)
            needs[source] |= needed
            for name in sorted(defined - {"main"}):
                if definer.setdefault(name, source) != source:
                    complaints.append(f"{name} is defined in {definer[name]} and in {source}")
    uses = {source: {} for source in objects}
    for source in sorted(objects):
        for name in sorted(needs[source]):
            if definer.get(name, source) != source:
                uses[source].setdefault(definer[name], name)
    return uses, complaints


def find_cycles(uses):
    """One shortest cycle out of each knot of the graph, as lists of sources."""
    cycles, known = [], set()
    for start in sorted(uses):
        cycle = shortest_way_back(uses, start)
        if cycle and not known & set(cycle):
            known |= set(cycle)
            cycles.append(cycle)
    return cycles


def shortest_way_back(uses, start):
    """Sources from `start` along uses until one that uses `start`, or None."""
    came_from, queue = {start: None}, collections.deque([start])
    while queue:
        source = queue.popleft()
        for used in sorted(uses[source]):
            if used == start:
                way = [source]
                while came_from[way[-1]] is not None:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if used not in came_from:
                came_from[used] = source
                queue.append(used)
    return None


def describe_cycle(uses, cycle):
    """'a.c -(b_call)-> b.c -(a_call)-> a.c'"""
    text = cycle[0]
    for source, used in zip(cycle, cycle[1:] + cycle[:1]):
        text += f" -({uses[source][used]})-> {used}"
    return text


def folder_of(source, folders):
    """The longest of `folders` that `source` is in, or None. A module ("proxy/listener") is as good as a folder."""
    inside = [folder for folder in folders if source.startswith((folder + "/", folder + "."))]
    return max(inside, key=len, default=None)


def wrong_directions(edges, may_use):
    """Complaints about edges (source, used, how) that `may_use` {folder: folders below it} does not allow.
    Within a folder all is allowed. A folder that the table does not name is the top: nothing below may use it."""
    complaints = []
    for source, used, how in edges:
        here, there = folder_of(source, may_use), folder_of(used, may_use)
        if here is not None and here != there and there not in may_use[here]:
            allowed = ", ".join(may_use[here]) or "no other folder"
            complaints.append(f"{source} uses {used} ({how}): {here} may use {allowed}")
    return complaints


def symbol_edges(uses):
    return [(source, used, name) for source in sorted(uses) for used, name in sorted(uses[source].items())]


def include_edges(project, folders, roots):
    """(source, included file, the line) for each #include "..." below `folders` that names a file of the project,
    looked for beside the source and below each of `roots`."""
    edges = []
    for folder in folders:
        for path in sorted((project / folder).rglob("*.[ch]")):
            for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
                for base in (path.parent, *(project / root for root in roots)):
                    if (base / name).is_file():
                        used = (base / name).resolve().relative_to(project)
                        edges.append((str(path.relative_to(project)), str(used), f'#include "{name}"'))
                        break
    return edges
