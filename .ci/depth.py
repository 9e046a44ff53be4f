"""Counts the calls, traits and files of a backtrace: depth.py BACKTRACE CHECKOUT CALLS TRAITS. See `depth`."""

import pathlib
import re
import sys

START = "step"


def frames(text):
    """The function's name and the file of each frame, innermost first."""
    pattern = r"^ *\d+: (.+?)\n *at (.+?):(\d+)(?::\d+)?$"
    return [(m[1], m[2], int(m[3])) for m in re.finditer(pattern, text, re.M)]


def split(name):
    """The trait of a method, if it has one, and what follows: `<T as path::Trait<U>>::method::<V>`."""
    if not name.startswith("<"):
        return None, name
    depth = 0
    for end, c in enumerate(name):
        depth += (c == "<") - (c == ">" and name[end - 1] != "-")
        if depth == 0:
            break
    inside, rest = name[1:end], name[end + 1 :]
    depth = 0
    for at, c in enumerate(inside):
        depth += (c in "<([") - (c in ">)]" and inside[at - 1] != "-")
        if depth == 0 and inside.startswith(" as ", at):
            return re.match(r"[\w:]+", inside[at + 4 :])[0].split("::")[-1], rest
    return None, rest


def plain(rest):
    """The function's own name, without its path and its type arguments."""
    depth, kept = 0, ""
    for at, c in enumerate(rest):
        depth -= c == ">" and rest[at - 1] != "-"
        kept += c if depth == 0 and c != "<" and not (c == ">" and rest[at - 1] != "-") else ""
        depth += c == "<"
    return [part for part in kept.split("::") if part][-1]


def bounds(path, line):
    """Traits that bound the type parameters of the function at a line: of its signature, and of the block that it is in."""
    lines = path.read_text().splitlines()
    found, at = [], line - 1
    while at >= 0 and not re.match(r" *(pub(\(.*?\))? )?(const )?(unsafe )?fn ", lines[at]):
        at -= 1
    heads = [at]
    # An indented function is in an `impl` or a `trait` that begins at a smaller indentation.
    if at >= 0 and lines[at].startswith(" "):
        above = at
        while above >= 0 and not re.match(r"(unsafe )?impl|(pub(\(.*?\))? )?(unsafe )?trait ", lines[above]):
            above -= 1
        heads.append(above)
    for head in heads:
        if head < 0:
            continue
        # Up to the start of the body.
        end = next((i for i in range(head, len(lines)) if lines[i].endswith(("{", ";", "}"))), head)
        text = " ".join(lines[head : end + 1])
        # `T: Trait + Other<U>` in generics and after `where`, and `impl Trait` as an argument.
        if generics := re.search(r"(?:impl|fn \w+|trait \w+)<(.*?)>[( ]", text):
            found += re.findall(r"(?<!:):(?!:) ?((?:[A-Z]\w*(?:<[^>]*>)?(?: \+ )?)+)", " " + generics[1])
        found += re.findall(r"impl ((?:[A-Z]\w*(?:<[^>]*>)?(?: \+ )?)+)", text.split("fn ", 1)[-1])
        if " where " in text:
            found += re.findall(r"(?<!:):(?!:) ?((?:[A-Z]\w*(?:<[^>]*>)?(?: \+ )?)+)", text.split(" where ", 1)[1])
    names = {name for part in found for name in re.findall(r"[A-Z]\w+", re.sub(r"<[^>]*>", "", part))}
    return names


def main():
    backtrace, checkout, most_calls, most_traits = sys.argv[1:]
    source = (pathlib.Path(checkout) / "src").resolve()
    chain = []
    for name, file, line in frames(pathlib.Path(backtrace).read_text()):
        path = pathlib.Path(file)
        if not path.is_absolute():
            path = pathlib.Path(checkout) / path
        if source in path.parents:
            chain.append((name, path, line))
        elif chain and "main" in name:
            break
    chain.reverse()
    if not chain or plain(split(chain[0][0])[1]) != START:
        sys.exit("error: no store was reached from a step")
    code = "\n".join(path.read_text() for path in source.rglob("*.rs"))
    ours = set(re.findall(r"\btrait (\w+)", code))
    traits, files = set(), set()
    for i, (name, path, line) in enumerate(chain):
        trait, rest = split(name)
        own = ({trait} | bounds(path, line)) & ours
        new = own - traits
        traits |= own
        files.add(path)
        where = f"{path.relative_to(source)}:{line}"
        print(f"{i:4} {(trait + '::' if trait else '') + plain(rest):<28} {where:<34} {' '.join(sorted(new))}")
    calls = len(chain) - 1
    print(f"{calls} calls, {len(traits)} traits, {len(files)} files; at most {most_calls} calls and {most_traits} traits")
    sys.exit(calls > int(most_calls) or len(traits) > int(most_traits))


main()
