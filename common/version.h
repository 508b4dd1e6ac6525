#ifndef ESS_VERSION_H
#define ESS_VERSION_H

#define ESS_VERSION "0.1.0"

#endif
