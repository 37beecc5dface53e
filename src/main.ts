/** npm start */
import { existsSync } from 'node:fs';
import { readConfig } from './config.js';
import { serve } from './serve.cli.js';

if (existsSync('.env')) process.loadEnvFile('.env');
await serve(() => readConfig(process.env));
