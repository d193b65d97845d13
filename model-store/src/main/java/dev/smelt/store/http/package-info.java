/** The store over HTTP: routes and access for a server, and a client that keeps a copy in step. */
@NullMarked
package dev.smelt.store.http;

import org.jspecify.annotations.NullMarked;
