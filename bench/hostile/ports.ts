/** Where the server of the attacks answers as a resolver would, at 127.0.0.1. */
export const resolverPort = 5400;
