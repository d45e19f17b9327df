import { expect, test } from 'bun:test';
import { CONTENT_LIMITS } from './limits.ts';
import { readBlock, writeBlock } from './styles.ts';

test(`a line is indented by indent_levels_max (${CONTENT_LIMITS.indent_levels_max}) steps, and not by one more`, () => {
  const most = CONTENT_LIMITS.indent_levels_max;
  for (const indent of [most, most + 1]) {
    expect(readBlock({ indent }).indent).toBe(most);
    expect(writeBlock({ ...readBlock({}), indent })).toEqual({ indent: most });
  }
  expect(readBlock({ indent: most - 1 }).indent).toBe(most - 1);
});
