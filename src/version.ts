/** The version of this program; `test/cli/cli.test.ts` holds it to package.json. */
export const version = '0.1.0';
