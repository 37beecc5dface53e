// placeholder until the embedded helper writes its file
export interface Embedded { host: string; port: number; setHttpPort(port: number): Promise<void>; close(): Promise<void> }
export async function openEmbedded(_dir: string): Promise<Embedded> { throw new Error('not yet'); }
