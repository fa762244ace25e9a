import type { Client } from '@temporalio/client';

/** Whether some worker has asked the queue for activities in the last minutes. */
export async function isPolled(client: Client, namespace: string, queue: string): Promise<boolean> {
  const answer = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: queue },
    // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the enum lives in a package of the SDK's own
    taskQueueType: 2, // TASK_QUEUE_TYPE_ACTIVITY
  });
  return answer.pollers.length > 0;
}
