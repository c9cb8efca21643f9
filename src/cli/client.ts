import { request } from 'node:http';
import { Exit, OeError, messageOf } from '../errors.ts';

/** What the agent says at `path` (with its query) of its control API. */
export async function askAgent(
  socket: string,
  path: string,
  {
    method = 'GET',
    timeoutMs = 15_000,
  }: { readonly method?: 'GET' | 'POST'; readonly timeoutMs?: number } = {},
): Promise<unknown> {
  const { status, text } = await send(socket, method, path, timeoutMs);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new OeError(
      'agent-unreadable',
      `What answered on ${socket} does not speak oe's API: ${messageOf(error)}.`,
      'Check which program owns the socket (`ss -xlp`), and restart oe.',
      Exit.software,
    );
  }
  if (status === 200) return body;
  const {
    code = 'agent-refused',
    message = `HTTP status ${status}`,
    remedy = 'See `oe --help`.',
  } = (body as { error?: { code?: string; message?: string; remedy?: string } }).error ?? {};
  throw new OeError(code, message, remedy, exitFor[status] ?? Exit.software);
}

const exitFor: Readonly<Record<number, number>> = { 400: Exit.usage, 422: Exit.config };

function send(
  socket: string,
  method: string,
  path: string,
  timeoutMs: number,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: socket, method, path, timeout: timeoutMs }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') });
      });
      response.on('error', (error) => {
        reject(unreachable(socket, error));
      });
    });
    call.on('timeout', () => call.destroy(new Error(`no answer within ${timeoutMs / 1_000} s`)));
    call.on('error', (error) => {
      reject(unreachable(socket, error));
    });
    call.end();
  });
}

function unreachable(socket: string, error: NodeJS.ErrnoException): OeError {
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new OeError(
        'not-running',
        `oe is not running: nothing answers on ${socket}.`,
        'Start it with `sudo oe up`, or name its configuration with --config.',
        Exit.unavailable,
        error,
      );
    case 'EACCES':
    case 'EPERM':
      return new OeError(
        'not-allowed',
        `This user may not talk to oe on ${socket}.`,
        'Use sudo, or become a member of the group oe.',
        Exit.noPermission,
        error,
      );
    default:
      return new OeError(
        'agent-unreachable',
        `oe does not answer on ${socket}: ${error.message}.`,
        'Look at its log, and restart it.',
        Exit.tempFail,
        error,
      );
  }
}
