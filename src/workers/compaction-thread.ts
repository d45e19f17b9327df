/** The thread that segments are packed on: see compaction.ts. It lives for one compaction. */
import { Packer } from '../actors/past/packer.ts';
import { stepBehind } from '../base/priority.ts';
import type { ToPacker } from './compaction.ts';

declare const self: Worker;

stepBehind();
let packer: Packer | null = null;

self.onmessage = ({ data }: MessageEvent<ToPacker>) => {
  if ('begin' in data) packer = new Packer(data.begin);
  else if ('recall' in data) packer?.recall(data.recall);
  else self.postMessage(packer?.pack(data.page, data.with_checkpoint));
};
