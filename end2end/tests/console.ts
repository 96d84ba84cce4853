/** Somebody who sends the console's forms without looking at its pages: to lay the ground for a journey. */
export class Console {
  private readonly cookies = new Map<string, string>();

  constructor(readonly base: string) {}

  async post(name: string, fields: Record<string, string> = {}): Promise<any> {
    const response = await this.send(`/console/${name}`, {
      method: 'POST',
      body: new URLSearchParams(fields),
      headers: { accept: 'application/json', 'sec-fetch-site': 'same-origin' },
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${name}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  /** Posts what leads to the page of a new thing; its id. */
  async create(name: string, fields: Record<string, string>): Promise<string> {
    return (await this.post(name, fields)).go.split('/').pop();
  }

  async page(path: string): Promise<string> {
    return (await this.send(path, { headers: { accept: 'text/html' } })).text();
  }

  /** The session, as a browser keeps it. */
  session(): { name: string; value: string; url: string }[] {
    return [...this.cookies].map(([name, value]) => ({ name, value, url: this.base }));
  }

  private async send(path: string, init: RequestInit): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(this.base + path, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split('=', 2);
      this.cookies.set(name, value);
    }
    return response;
  }
}
