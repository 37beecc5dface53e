/** npm start */
import { serve } from './cli/serve.cli.js';
import { loadEnvFile, readConfig } from './config.js';

await serve(() => {
  loadEnvFile();
  return readConfig(process.env);
});
