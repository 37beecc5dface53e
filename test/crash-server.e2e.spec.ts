import { crashSuite } from './support/crash.js';

crashSuite('PostgreSQL');
