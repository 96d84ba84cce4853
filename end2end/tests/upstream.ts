import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A model that says the same thing to everybody who is in a hurry, and reports what it used. */
export async function upstream(): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const send = (status: number, document: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    };
    if (request.headers.authorization !== 'Bearer sk-upstream') {
      return send(401, { error: { message: 'wrong key', type: 'invalid_request_error' } });
    }
    if (request.url === '/v1/models') {
      const offered = ['tiny-1', 'gpt-4o', 'gpt-4o-mini', 'house-finetune'];
      return send(200, { object: 'list', data: offered.map((id) => ({ id, object: 'model' })) });
    }
    let body = '';
    request.on('data', (piece) => (body += piece)).on('end', () => {
      // Says nothing, or nothing more than a word, for as long as the caller holds on.
      if (body.includes('Take your time.')) {
        if (!body.includes('"stream":true')) return;
        const delta = { role: 'assistant', content: 'Well' };
        const chunk = { id: 'c1', object: 'chat.completion.chunk', created: 0, model: 'tiny-1', choices: [{ index: 0, delta, finish_reason: null }] };
        return response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${JSON.stringify(chunk)}\n\n`);
      }
      send(200, {
        id: 'c1', object: 'chat.completion', created: 0, model: 'tiny-1',
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hello from the model.' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 1000, completion_tokens: 500, total_tokens: 1500 },
      });
    });
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return { url, close: () => {
    server.close();
    server.closeAllConnections();
  } };
}
