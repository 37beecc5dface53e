import { crashSuite } from './support/crash.js';

crashSuite('embedded');
