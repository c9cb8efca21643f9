import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Exit, OeError, messageOf } from '../../errors.ts';

/** What a route answers: a JSON value, or a refusal with a stable code. */
export type ControlAnswer =
  | { readonly ok: true; readonly body: unknown }
  | {
      readonly ok: false;
      readonly status: number;
      readonly code: string;
      readonly message: string;
      readonly remedy?: string;
    };

export type ControlRoutes = Readonly<
  Record<string, (query: URLSearchParams, signal: AbortSignal) => ControlAnswer | Promise<ControlAnswer>>
>;

export interface Control {
  close(): Promise<void>;
}

/**
 * Serves what `routes` gives at the time (keys are paths for `GET`, with `POST ` before them for what changes something) on a Unix socket of mode 0660, owned by the group `oe` where
 * there is one. A socket that nobody answers on is replaced; anything else at the path is left alone.
 */
export async function openControl(path: string, routes: () => ControlRoutes): Promise<Control> {
  prepareDirectory(dirname(path));
  await makeWay(path);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 });
  server.maxConnections = 64;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void serve(routes(), request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(cannotOpen(path, error));
    });
    // The socket must not be open to everybody even for the moment between bind and chmod.
    const mask = process.umask(0o117);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(mask);
    }
  });
  chmodSync(path, 0o660);
  const group = groupId('oe');
  if (group !== undefined && process.getuid?.() === 0) chownSync(path, 0, group);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function serve(
  routes: ControlRoutes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => {
    gone.abort();
  });
  const refuse = (status: number, code: string, message: string, remedy?: string): void => {
    send(response, status, { version: 1, error: { code, message, ...(remedy !== undefined && { remedy }) } });
  };
  // Nothing here takes a body: whoever sends one loses the connection with the answer, however much is still to come.
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined)
    response.setHeader('connection', 'close');
  try {
    const url = new URL(request.url ?? '/', 'http://oe');
    const path = url.pathname;
    const [get, post] = [path, `POST ${path}`].map((k) => (Object.hasOwn(routes, k) ? routes[k] : undefined));
    if (!get && !post && Object.keys(routes).length === 0) {
      refuse(503, 'starting', 'oe is starting.');
      return;
    }
    if (!get && !post) {
      refuse(404, 'unknown-path', `There is no ${path}; there are ${Object.keys(routes).join(', ')}.`);
      return;
    }
    const route = request.method === 'GET' ? get : request.method === 'POST' ? post : undefined;
    if (!route) {
      const allowed = get ? 'GET' : 'POST';
      response.setHeader('allow', allowed);
      refuse(405, 'method-not-allowed', `${path} takes ${allowed}.`);
      return;
    }
    const answer = await route(url.searchParams, gone.signal);
    if (answer.ok) send(response, 200, answer.body);
    else refuse(answer.status, answer.code, answer.message, answer.remedy);
  } catch (error) {
    refuse(500, 'internal', messageOf(error));
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function prepareDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o755 });
  } catch (error) {
    throw cannotOpen(path, error);
  }
  const stat = lstatSync(path);
  const uid = process.getuid?.() ?? 0;
  const foreign = stat.uid !== uid && stat.uid !== 0;
  // A sticky directory such as /tmp lets nobody else rename or unlink what is ours.
  const open = (stat.mode & 0o022) !== 0 && (stat.mode & 0o1000) === 0;
  if (!stat.isDirectory() || foreign || open) {
    throw new OeError(
      'run-directory-unsafe',
      `${path} is ${!stat.isDirectory() ? 'not a directory' : foreign ? 'owned by somebody else' : 'writable by others'}, so anybody could put a socket of their own in place of ours.`,
      `Remove it, or set run-directory in [paths] to a directory of root's with mode 0755.`,
      Exit.noPermission,
    );
  }
}

/** Removes a stale socket; throws where something else stands there or somebody answers. */
async function makeWay(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isSocket()) {
    throw new OeError(
      'control-socket-occupied',
      `${path} is ${stat.isSymbolicLink() ? 'a symbolic link' : 'not a socket'}; it is not followed and not replaced.`,
      `Look at it, remove it, and start again.`,
      Exit.cannotCreate,
    );
  }
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    const end = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', () => {
      end(true);
    });
    probe.once('error', () => {
      end(false);
    });
  });
  if (answered) {
    throw new OeError(
      'already-running',
      `Another oe runs here: it answers on ${path}.`,
      'Stop it first, or give this one its own directories with --config.',
      Exit.unavailable,
    );
  }
  unlinkSync(path);
}

function cannotOpen(path: string, error: unknown): OeError {
  return new OeError(
    'control-socket-failed',
    `The control socket ${path} cannot be opened: ${messageOf(error)}.`,
    'Run as root, or set run-directory in [paths] to a directory that this user may write.',
    Exit.cannotCreate,
    error,
  );
}

function groupId(name: string): number | undefined {
  try {
    const line = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((l) => l.startsWith(`${name}:`));
    const id = Number(line?.split(':')[2]);
    return line !== undefined && Number.isInteger(id) ? id : undefined;
  } catch {
    return undefined; // no group database: the socket stays root's
  }
}
