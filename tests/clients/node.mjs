// Reads what to do from standard input and prints what was seen.
import * as client from "./client.mjs";

let text = "";
for await (const piece of process.stdin) text += piece;
const { base, examples, ...rest } = JSON.parse(text);
const seen = { examples: await client.examples(base, examples), lives: await client.lives(base, rest) };
process.stdout.write(JSON.stringify(seen));
