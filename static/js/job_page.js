/** A job's page: it is followed, and what its buttons do happens without leaving it. */

import "./changing.js";
import "./copying.js";
import "./deleting.js";
import "./following.js";
