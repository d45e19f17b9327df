/**
 * The page of results: prose that people write, with places in it that a run fills. A place lies between
 * `<!-- begin NAME -->` and `<!-- end NAME -->`, so that a run of some scenarios leaves the others as they were.
 */

/** The page with these places filled. Throws where the page has no such place. */
export function fillPage(page: string, places: ReadonlyMap<string, string>): string {
  let filled = page;
  for (const [name, content] of places) {
    const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
    const [from, to] = [filled.indexOf(begin), filled.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the page has no place for ${name}: ${begin} and ${end}`);
    filled = `${filled.slice(0, from + begin.length)}\n${content}\n${filled.slice(to)}`;
  }
  return filled;
}
