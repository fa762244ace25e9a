/** Running a short command in a container. */
import { Writable } from 'node:stream';
import { Exec, type KubeConfig, type V1Status } from '@kubernetes/client-node';

export interface PodCommand {
  readonly pod: string;
  /** The only one by default. */
  readonly container?: string;
  readonly command: readonly string[];
}

export interface Executed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Its exit code is part of the answer; an error is what kept it from running, or from being heard to its end. */
export async function execInPod(
  config: KubeConfig,
  namespace: string,
  { pod, container = '', command }: PodCommand,
): Promise<Executed> {
  const [stdout, stderr] = [gather(), gather()];
  const status = await new Promise<V1Status>((resolve, reject) => {
    new Exec(config)
      .exec(namespace, pod, container, [...command], stdout.stream, stderr.stream, null, false, resolve)
      .then((socket: unknown) => {
        (socket as EventTarget).addEventListener('close', () => {
          reject(new Error(`exec in pod ${namespace}/${pod} was cut off without a status`));
        });
      }, reject);
  });
  const cause = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message;
  const code = status.status === 'Success' ? 0 : Number(cause ?? NaN);
  if (Number.isNaN(code)) throw new Error(`exec in pod ${namespace}/${pod}: ${status.message ?? 'failed'}`);
  return { code, stdout: stdout.text(), stderr: stderr.text() };
}

function gather(): { readonly stream: Writable; text(): string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}
