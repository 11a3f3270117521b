// Reads JSON documents from standard input, one per line and each written as a JSON string, and answers each with a line:
// the JSON string of what JSON.stringify(JSON.parse(document)) gives, or null when JSON.parse refuses the document.

import { readFileSync } from "node:fs";

const answers = readFileSync(0, "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => {
    const document = JSON.parse(line);
    try {
      return JSON.stringify(JSON.stringify(JSON.parse(document)));
    } catch {
      return "null";
    }
  });

process.stdout.write(answers.join("\n") + "\n");
