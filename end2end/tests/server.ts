import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const binary = process.env.BURSAR_BIN ?? '../target/debug/bursar';

/** A running server with a database of its own. */
export interface Server {
  base: string;
  /** The one-time token of a first start. */
  token: string | undefined;
  stop: () => Promise<void>;
}

/** Starts `bursar` with these arguments and waits for the line that says it is ready. */
export async function start(...args: string[]): Promise<Server> {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: build the server first, or name it in BURSAR_BIN`);
  const data = mkdtempSync(join(tmpdir(), 'bursar-browser-'));
  // Root runs the private Postgres as somebody else, who has to be able to enter.
  chmodSync(data, 0o711);
  const env: NodeJS.ProcessEnv = { ...process.env, BURSAR_ADDR: '127.0.0.1:0', BURSAR_DATA_DIR: data };
  delete env.DATABASE_URL;
  const child = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await ready(child);
  const [base, token] = url.split('/setup?token=');
  const stop = async () => {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
    rmSync(data, { recursive: true, force: true });
  };
  return { base: base.replace(/\/$/, ''), token, stop };
}

async function ready(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const url = line.match(/http:\/\/\S+/)?.[0];
    if (url) return url;
  }
  throw new Error('bursar ended before it was ready');
}
