/** What people download, as they would use it. */
@NullMarked
package dev.smelt.packaging;

import org.jspecify.annotations.NullMarked;
