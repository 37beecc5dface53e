/** npm start */
import { existsSync } from 'node:fs';
import { serve } from './cli/serve.cli.js';
import { readConfig } from './config.js';

if (existsSync('.env')) process.loadEnvFile('.env');
await serve(() => readConfig(process.env));
