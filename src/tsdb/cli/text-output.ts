/** Where a command writes a long text: standard output, or a file that appears once it is whole. */
import { realVfs } from "../../base/vfs.ts";

export interface TextOutput {
  /** Resolves when more may come. */
  write(text: string): Promise<void>;
  /** All was written. */
  finish(): Promise<void>;
  /** Leaves no file. */
  abandon(): Promise<void>;
}

/** @param path absent: standard output */
export const openOutput = (path: string | undefined): Promise<TextOutput> =>
  path === undefined ? Promise.resolve(standardOutput()) : fileOutput(path);

function standardOutput(): TextOutput {
  let resume = (): void => undefined;
  const onDrain = (): void => resume();
  process.stdout.on("drain", onDrain);
  const end = (): Promise<void> => {
    process.stdout.off("drain", onDrain);
    return Promise.resolve();
  };
  return {
    async write(text) {
      // Who closes its end ends the process (main.ts).
      if (!process.stdout.write(text)) await new Promise<void>((resolve) => (resume = resolve));
    },
    finish: end,
    abandon: end,
  };
}

async function fileOutput(path: string): Promise<TextOutput> {
  const temporary = `${path}.tmp`;
  // An export that was killed has left it.
  if (await realVfs.exists(temporary)) await realVfs.remove(temporary);
  const file = await realVfs.open(temporary, "create");
  let position = 0;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await file.close();
    isOpen = false;
  };
  return {
    async write(text) {
      const bytes = Buffer.from(text);
      await file.write(bytes, position);
      position += bytes.byteLength;
    },
    async finish() {
      await file.sync();
      await close();
      await realVfs.rename(temporary, path);
    },
    async abandon() {
      await close();
      await realVfs.remove(temporary);
    },
  };
}
