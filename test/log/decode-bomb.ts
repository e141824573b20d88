/**
 * `node decode-bomb.ts <decoder> <bytesMax>`, the bomb on stdin: prints the code of the error that it ends with and by how
 * many bytes the process grew. In a process of its own, because only there does its largest size tell anything.
 */

import { readFileSync } from "node:fs";
import { gunzip, gunzipPortable } from "../../src/log/codecs/gzip.ts";
import { unlz4 } from "../../src/log/codecs/lz4.ts";
import { unsnappy } from "../../src/log/codecs/snappy.ts";
import { unzstd, unzstdPortable } from "../../src/log/codecs/zstd.ts";
import { errorOf } from "./support.ts";

const DECODERS = { gunzip, gunzipPortable, unlz4, unsnappy, unzstd, unzstdPortable };

const [, , name = "", bytesMax = ""] = process.argv;
const decoder = Object.entries(DECODERS).find(([known]) => known === name)?.[1];
if (decoder === undefined) throw new Error(`no decoder ${name}`);
const bomb = new Uint8Array(readFileSync(0));
const before = process.resourceUsage().maxRSS;
const code = errorOf(() => decoder(bomb, Number(bytesMax)));
const grownBytes = (process.resourceUsage().maxRSS - before) * 1024;
console.log(JSON.stringify({ code, grownBytes }));
